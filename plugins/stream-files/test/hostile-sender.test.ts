import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { receiveFiles } from '../src/receive/receive-files.ts';
import { openTarget } from '../src/receive/target.ts';
import { partialStem } from '../src/tree/names.ts';
import { encodeBegin, encodeHead, encodeLength, encodeNumber, Frame } from '../src/wire/frames.ts';
import { allIn, connectPair, makePlaces, openDescriptors, RawPeer, residentMiB, startHelper } from './peer.ts';

const TIME = { mtime: 1_000_000_000_000 };
const folder = (id: number, parent: number, name: string) => ({ id, parent, name, kind: 'folder', mode: 0o755, ...TIME });
const link = (id: number, parent: number, name: string, target: string) => ({ id, parent, name, kind: 'link', target, ...TIME });
const file = (id: number, parent: number, name: string, size = 1) => ({
  id,
  parent,
  name,
  kind: 'file',
  mode: 0o644,
  size,
  sparse: false,
  ...TIME,
});

/** What receives: the program of the device, and the client in this process. */
const RECEIVERS = {
  device: async (path: string) => {
    const { peer, end } = startHelper({ operation: 'write', path, exact: false });
    return { peer, end: end.then((code) => code !== 0) };
  },
  client: async (path: string) => {
    const [near, far] = await connectPair();
    const target = await openTarget(path, false);
    const observer = {};
    const failed = receiveFiles({ input: near, output: near, target, observer }).then(
      () => false,
      () => true,
    );
    return { peer: new RawPeer(far, far), end: failed.finally(() => near.destroy()) };
  },
};

describe.each(Object.entries(RECEIVERS))('a hostile sender, received by the %s', (_name, receive) => {
  /** Sends the one byte of every file that is wanted. */
  async function answerWants(peer: RawPeer, count: number): Promise<void> {
    await peer.hear(Frame.want, count);
    for (const { id } of peer.json(Frame.want)) sendByte(peer, id as number);
  }

  it.each(['..', '.', '', 'a/b', '/etc/x', '../outside/x', 'a\0b', '\0', 'x'.repeat(255).concat('/'), '.towline-part-abc'])(
    'cannot name a file %j',
    async (name) => {
      const { inside, dir } = makePlaces();
      const { peer, end } = await receive(inside);
      peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
      peer.writer.sendJson(Frame.entry, file(2, 1, name));
      await Promise.race([peer.hear(Frame.settled), peer.over()]);
      expect(peer.isOver || peer.json(Frame.settled)).toSatisfy(
        (said: true | { status: string }[]) => said === true || said[0]?.status === 'failed',
      );
      peer.writer.send(Frame.leave, encodeNumber(1));
      peer.writer.send(Frame.listed);
      await peer.hear(Frame.done);
      await peer.writer.end();
      await end;
      expect(allIn(dir)).toEqual(['inside', 'inside/root', 'outside']);
    },
  );

  it.each([
    ['a link of its own', [link(2, 1, 'x', '../../outside'), folder(3, 1, 'x'), file(4, 3, 'f')]],
    ['a link of its own that is absolute', [link(2, 1, 'x', '/tmp'), folder(3, 1, 'x'), file(4, 3, 'f')]],
    ['a link that was there', [folder(2, 1, 'there'), file(3, 2, 'f')]],
    ['a link that was there, by its name', [file(2, 1, 'file-there')]],
  ])('cannot write through %s', async (_what, entries) => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(inside, 'root'));
    writeFileSync(join(outside, 'kept'), 'kept');
    symlinkSync(outside, join(inside, 'root/there'));
    symlinkSync(join(outside, 'kept'), join(inside, 'root/file-there'));
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
    for (const entry of entries) peer.writer.sendJson(Frame.entry, entry);
    for (const { id } of [...entries, { id: 1 }].filter((entry) => !('kind' in entry) || entry.kind === 'folder').reverse())
      peer.writer.send(Frame.leave, encodeNumber(id));
    peer.writer.send(Frame.listed);
    void answerWants(peer, 1);
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    expect(readdirSync(outside)).toEqual(['kept']);
    expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('kept');
  });

  it.each([1, 300_000])('cannot have a partial file that was planted as a link written through: %i bytes', async (size) => {
    const { inside, outside } = makePlaces();
    const content = Buffer.alloc(size, '!');
    writeFileSync(join(outside, 'kept'), 'kept');
    symlinkSync(join(outside, 'kept'), join(inside, `${partialStem(Buffer.from('f'), { size, ...TIME })}.planted`));
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, file(1, 0, 'f', size));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.want);
    expect(peer.json(Frame.want)).toEqual([{ id: 1, have: 0, whole: false }]);
    peer.writer.send(Frame.begin, encodeBegin(1, 0));
    for (let at = 0; at < size; at += 150_000) peer.writer.send(Frame.data, content.subarray(at, at + 150_000));
    peer.writer.send(Frame.end, Buffer.concat([encodeNumber(1), createHash('sha256').update(content).digest()]));
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    expect(readFileSync(join(outside, 'kept'), 'utf8')).toBe('kept');
    expect(readFileSync(join(inside, 'f')).equals(content)).toBe(true);
    expect(readdirSync(inside)).toEqual(['f']);
  });

  it('cannot leave setuid, setgid or a file that was not whole', async () => {
    const { inside } = makePlaces();
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
    peer.writer.sendJson(Frame.entry, { ...file(2, 1, 'suid'), mode: 0o6755 });
    peer.writer.sendJson(Frame.entry, file(3, 1, 'wrong'));
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.want, 2);
    for (const { id } of peer.json(Frame.want)) {
      peer.writer.send(Frame.begin, encodeBegin(id as number, 0));
      peer.writer.send(Frame.data, Buffer.from('!'));
      const hash = createHash('sha256')
        .update(id === 2 ? '!' : '?')
        .digest();
      peer.writer.send(Frame.end, Buffer.concat([encodeNumber(id as number), hash]));
    }
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    expect(readdirSync(join(inside, 'root'))).toEqual(['suid']);
    expect(statSync(join(inside, 'root/suid')).mode & 0o7777).toBe(0o755);
    expect(peer.json(Frame.settled)).toContainEqual({ id: 3, status: 'failed', code: 'hash_mismatch' });
  });

  it('is refused the same name twice', async () => {
    const { inside } = makePlaces();
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
    peer.writer.sendJson(Frame.entry, file(2, 1, 'f'));
    peer.writer.sendJson(Frame.entry, file(3, 1, 'f'));
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await answerWants(peer, 1);
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    expect(peer.json(Frame.settled)).toContainEqual({ id: 3, status: 'failed', code: 'duplicate' });
  });

  it.each<[string, (peer: RawPeer) => void]>([
    [
      'announces more than it may',
      (peer) => {
        peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
        for (let id = 2; id < 700; id += 1) peer.writer.sendJson(Frame.entry, file(id, 1, `f${id}`));
      },
    ],
    ['sends what nobody asked for', (peer) => peer.writer.send(Frame.data, Buffer.from('x'))],
    ['begins what nobody asked for', (peer) => peer.writer.send(Frame.begin, encodeBegin(1, 0))],
    ['announces something in a folder that is none', (peer) => peer.writer.sendJson(Frame.entry, file(1, 7, 'f'))],
    ['numbers as it likes', (peer) => peer.writer.sendJson(Frame.entry, file(9, 0, 'f'))],
    ['leaves a folder that is none', (peer) => peer.writer.send(Frame.leave, encodeNumber(5))],
    ['sends frames of the other direction', (peer) => peer.writer.send(Frame.done)],
    ['announces a file of an impossible size', (peer) => peer.writer.sendJson(Frame.entry, file(1, 0, 'f', -1))],
    ['announces a name of 300 bytes', (peer) => peer.writer.sendJson(Frame.entry, file(1, 0, 'n'.repeat(300)))],
    ['announces no JSON', (peer) => peer.writer.send(Frame.entry, Buffer.from('{"id":'))],
    ['announces 10 MiB as one frame', (peer) => peer.writer.send(Frame.entry, Buffer.alloc(10_485_760, 'x'))],
    ['sends a type that is none', (peer) => peer.writer.send(0x7f, Buffer.from('x'))],
  ])('is cut off when it %s', async (_what, act) => {
    const { inside, dir } = makePlaces();
    const { peer, end } = await receive(inside);
    act(peer);
    peer.writer.flush();
    expect(await end).toBe(true);
    expect(allIn(dir).filter((path) => !/^inside(\/root)?$|^outside$/.test(path))).toEqual([]);
  });

  it.each<[string, (peer: RawPeer) => void]>([
    ['more content than the file has', (peer) => peer.writer.send(Frame.data, Buffer.alloc(2))],
    ['a hole beyond its end', (peer) => peer.writer.send(Frame.hole, encodeLength(2 ** 52))],
    ['a hole of 2^63 bytes', (peer) => peer.writer.send(Frame.hole, Buffer.from('8000000000000000', 'hex'))],
    ['the beginning twice', (peer) => peer.writer.send(Frame.begin, encodeBegin(1, 0))],
    ['the end of another file', (peer) => peer.writer.send(Frame.end, Buffer.concat([encodeNumber(2), Buffer.alloc(32)]))],
  ])('is cut off when it sends %s', async (_what, act) => {
    const { inside } = makePlaces();
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, file(1, 0, 'f'));
    await peer.hear(Frame.want);
    peer.writer.send(Frame.begin, encodeBegin(1, 0));
    act(peer);
    peer.writer.flush();
    expect(await end).toBe(true);
    expect(readdirSync(inside)).toEqual([]);
  });
});

describe.runIf(process.platform === 'linux')('the program of the device, against a hostile sender', () => {
  it('holds little memory however much is announced and left out', async () => {
    const { inside } = makePlaces();
    const { child, peer, end } = startHelper({ operation: 'write', path: inside, exact: false });
    peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
    let most = 0;
    for (let round = 0; round < 60; round += 1) {
      for (let at = 0; at < 400; at += 1) {
        const id = 2 + round * 400 + at;
        peer.writer.sendJson(Frame.entry, link(id, 1, `..${'/'.repeat(200)}${id}`, 'x'.repeat(2_000)));
        peer.writer.sendJson(Frame.omitted, { parent: 1, name: 'x'.repeat(255), code: 'EACCES' });
      }
      await peer.writer.room();
      await peer.hear(Frame.settled, (round + 1) * 400);
      most = Math.max(most, residentMiB(child.pid!));
    }
    expect(most).toBeLessThan(160);
    expect(readdirSync(join(inside, 'root'))).toEqual([]);
    child.kill();
    await end;
  });

  it('holds a bounded number of descriptors however deep and wide a tree is', async () => {
    const { inside } = makePlaces();
    const { child, peer, end } = startHelper({ operation: 'write', path: inside, exact: false });
    for (let id = 1; id <= 200; id += 1) peer.writer.sendJson(Frame.entry, folder(id, id - 1, 'd'));
    for (let id = 201; id <= 510; id += 1) peer.writer.sendJson(Frame.entry, file(id, 1 + (id % 200), `f${id}`, 10_000_000));
    await peer.hear(Frame.want, 128);
    expect(openDescriptors(child.pid!)).toBeLessThan(200 + 128 + 60);
    child.kill();
    await end;
  });

  it('refuses folders deeper than it goes', async () => {
    const { inside } = makePlaces();
    const { peer, end } = startHelper({ operation: 'write', path: inside, exact: false });
    for (let id = 1; id <= 300; id += 1) peer.writer.sendJson(Frame.entry, folder(id, id - 1, 'd'));
    peer.writer.flush();
    expect(await end).toBe(1);
  });

  it('writes nothing elsewhere while folders are swapped for links under it', async () => {
    const { inside, outside } = makePlaces();
    for (let round = 0; round < 3; round += 1) {
      const { peer, end } = startHelper({ operation: 'write', path: inside, exact: false });
      peer.writer.sendJson(Frame.entry, folder(1, 0, 'root'));
      const swap = setInterval(() => swapForLink(join(inside, 'root'), outside), 0);
      for (let id = 2; id < 200; id += 1) peer.writer.sendJson(Frame.entry, id % 2 === 0 ? folder(id, 1, `d${id}`) : file(id, id - 1, 'f'));
      for (let id = 2; id < 200; id += 2) peer.writer.send(Frame.leave, encodeNumber(id));
      peer.writer.send(Frame.leave, encodeNumber(1));
      peer.writer.send(Frame.listed);
      await answerAll(peer);
      clearInterval(swap);
      await peer.writer.end();
      await end;
      expect(readdirSync(outside)).toEqual([]);
      for (const name of readdirSync(inside)) rmSync(join(inside, name), { recursive: true, force: true });
    }
  }, 60_000);
});

/** Sends whatever is wanted, until the other end is done. */
async function answerAll(peer: RawPeer): Promise<void> {
  let answered = 0;
  while (!peer.isOver && !peer.heard.some(({ type }) => type === Frame.done)) {
    const wants = peer.json(Frame.want);
    for (; answered < wants.length; answered += 1) sendByte(peer, wants[answered]!.id as number);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The file of one byte. */
function sendByte(peer: RawPeer, id: number): void {
  peer.writer.send(Frame.begin, encodeBegin(id, 0));
  peer.writer.send(Frame.data, Buffer.from('!'));
  peer.writer.send(Frame.end, Buffer.concat([encodeNumber(id), createHash('sha256').update('!').digest()]));
}

/** Puts a link in the place of every folder in turn, and the folder back in place of the link. */
function swapForLink(root: string, outside: string): void {
  for (const name of namesIn(root)) {
    const path = join(root, name);
    try {
      if (lstatSync(path).isDirectory()) {
        renameSync(path, `${root}-${name}`);
        symlinkSync(outside, path);
      } else {
        rmSync(path);
        renameSync(`${root}-${name}`, path);
      }
    } catch {
      // The copy was faster.
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

it('cuts a frame head that announces more than it may before any of it is taken in', async () => {
  const { inside } = makePlaces();
  const { child, end } = startHelper({ operation: 'write', path: inside, exact: false });
  child.stdin!.write(encodeHead(Frame.data, 0xffffff));
  expect(await end).toBe(1);
});
