import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sendFiles } from '../src/send/send-files.ts';
import { openSource } from '../src/send/source.ts';
import { encodeNumber, Frame } from '../src/wire/frames.ts';
import { connectPair, makePlaces, openDescriptors, RawPeer, residentMiB, startHelper } from './peer.ts';

/** What sends: the program of the device, and the client in this process. */
const SENDERS = {
  device: async (path: string) => {
    const { peer, end } = startHelper({ operation: 'read', path, count: false });
    return { peer, end: end.then((code) => code !== 0) };
  },
  client: async (path: string) => {
    const [near, far] = await connectPair();
    const source = await openSource(path, Buffer.from('root'));
    const failed = sendFiles({ input: near, output: near, source, count: false, observer: {} }).then(
      () => false,
      () => true,
    );
    return { peer: new RawPeer(far, far), end: failed.finally(() => near.destroy()) };
  },
};

const want = (id: number, have = 0) => ({ id, have, whole: false });
const hashes = (id: number, count: number) => Buffer.concat([encodeNumber(id), Buffer.alloc(32 * count)]);

describe.each(Object.entries(SENDERS))('a hostile receiver, served by the %s', (_name, send) => {
  it.each<[string, (peer: RawPeer) => void]>([
    ['wants what was not offered', (peer) => peer.writer.sendJson(Frame.want, want(99))],
    ['wants a folder', (peer) => peer.writer.sendJson(Frame.want, want(1))],
    [
      'wants a file twice at once',
      (peer) => {
        peer.writer.sendJson(Frame.want, want(2, 1_000_000));
        peer.writer.sendJson(Frame.want, want(2, 1_000_000));
      },
    ],
    ['says that it has more than there is', (peer) => peer.writer.sendJson(Frame.want, want(2, 2 ** 50))],
    [
      'sends hashes of blocks that it does not have',
      (peer) => {
        peer.writer.sendJson(Frame.want, want(2, 1_000_000));
        peer.writer.send(Frame.blocks, hashes(2, 9));
      },
    ],
    [
      'settles a file that is being sent',
      (peer) => {
        peer.writer.sendJson(Frame.want, want(2, 1_000_000));
        peer.writer.sendJson(Frame.settled, { id: 2, status: 'done' });
      },
    ],
    [
      'settles a file twice',
      (peer) => {
        peer.writer.sendJson(Frame.settled, { id: 2, status: 'failed', code: 'x' });
        peer.writer.sendJson(Frame.settled, { id: 2, status: 'failed', code: 'x' });
      },
    ],
    ['is done before anything is settled', (peer) => peer.writer.send(Frame.done)],
    ['sends content', (peer) => peer.writer.send(Frame.data, Buffer.from('x'))],
    ['sends an endless frame', (peer) => peer.writer.send(Frame.want, Buffer.alloc(1_000_000, '{'))],
    ['sends no JSON', (peer) => peer.writer.send(Frame.settled, Buffer.from('[[['))],
    ['ends without a word', (peer) => void peer.writer.end()],
  ])('is cut off when it %s', async (_what, act) => {
    const { inside } = makePlaces();
    writeFileSync(join(inside, 'f'), Buffer.alloc(3_000_000));
    const { peer, end } = await send(inside);
    await peer.hear(Frame.entry, 2);
    act(peer);
    peer.writer.flush();
    expect(await end).toBe(true);
  });

  it('has no file read for it again and again', async () => {
    const { inside } = makePlaces();
    writeFileSync(join(inside, 'f'), 'content');
    const { peer, end } = await send(inside);
    await peer.hear(Frame.entry, 2);
    peer.writer.sendJson(Frame.want, want(2));
    await peer.hear(Frame.end);
    peer.writer.sendJson(Frame.want, want(2));
    expect(await end).toBe(true);
    expect(peer.heard.filter(({ type }) => type === Frame.begin)).toHaveLength(1);
  });

  it('gets nothing that is behind a link: folders and files that become one after they were offered', async () => {
    const { inside, outside } = makePlaces();
    writeFileSync(join(outside, 'secret'), 'x'.repeat(6));
    mkdirSync(join(inside, 'folder'));
    writeFileSync(join(inside, 'folder/secret'), 'public');
    writeFileSync(join(inside, 'secret'), 'public');
    const { peer, end } = await send(inside);
    await peer.hear(Frame.listed);
    // Behind the sender's back, before anything is asked for.
    rmSync(join(inside, 'secret'));
    symlinkSync(join(outside, 'secret'), join(inside, 'secret'));
    renameSync(join(inside, 'folder'), join(inside, 'moved'));
    symlinkSync(outside, join(inside, 'folder'));
    const files = peer.json(Frame.entry).filter(({ kind }) => kind === 'file');
    for (const { id } of files) peer.writer.sendJson(Frame.want, want(id as number));
    while (!peer.isOver && peer.heard.filter(({ type }) => type === Frame.end || type === Frame.failed).length < files.length)
      await new Promise((resolve) => setImmediate(resolve));
    const content = peer.heard.filter(({ type }) => type === Frame.data).map(({ payload }) => payload.toString());
    expect(content).toEqual(['public']);
    expect(peer.json(Frame.failed)).toMatchObject([{ code: 'ELOOP' }]);
    await peer.writer.end();
    await end;
  });
});

describe.runIf(process.platform === 'linux')('the program of the device, against a receiver that settles nothing', () => {
  it('announces so much and no more, with bounded memory and descriptors', async () => {
    const { inside } = makePlaces();
    for (let folder = 0; folder < 40; folder += 1) {
      mkdirSync(join(inside, String(folder)));
      for (let at = 0; at < 50; at += 1) writeFileSync(join(inside, String(folder), String(at)), Buffer.alloc(100_000));
    }
    const { child, peer, end } = startHelper({ operation: 'read', path: inside, count: true });
    await peer.hear(Frame.entry, 512);
    await peer.hear(Frame.total);
    expect(peer.json(Frame.entry)).toHaveLength(512);
    expect(peer.json(Frame.total)).toEqual([{ files: 2_000, bytes: 200_000_000 }]);
    for (const { id, kind } of peer.json(Frame.entry)) if (kind === 'file') peer.writer.sendJson(Frame.want, want(id as number, 50_000));
    peer.writer.flush();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(residentMiB(child.pid!)).toBeLessThan(200);
    expect(openDescriptors(child.pid!)).toBeLessThan(120);
    child.kill();
    await end;
  });
});
