import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { CliHost } from '@towline/contract';
import { createClientSession, createDeviceSession, createId, type SessionId } from '@towline/protocol';
import { expect, it } from 'vitest';
import { runCopy } from '../src/copy/run-copy.ts';
import { encodeBegin, encodeNumber, Frame } from '../src/wire/frames.ts';
import { connectPair, makePlaces, RawPeer } from './peer.ts';

/** Runs `towline cp` in this process against a device that says what it likes. */
async function copyFrom(
  words: readonly string[],
  act: (peer: RawPeer) => Promise<void>,
): Promise<{ code: number | string; stderr: string }> {
  const [near, far] = await connectPair();
  const id = createId<SessionId>();
  const stderr = new PassThrough().setEncoding('utf8');
  const host: CliHost = {
    openSession: async () => {
      const device = createDeviceSession(far, id);
      const peer = new RawPeer(device.session.input(0), device.session.output(0));
      void act(peer).then(async () => {
        peer.writer.flush();
        await device.finish({ reason: 'exited', exit_code: 0 }).catch(() => {});
      });
      return { session: createClientSession(near, id), answer: {}, device: { id: 'd'.repeat(32), name: 'pi', fingerprint: 'sha256:0' } };
    },
    keepLink: () => Promise.reject(new Error('a copy opens sessions')),
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr,
    env: {},
    json: false,
    signal: new AbortController().signal,
  };
  const code = await runCopy({ args: words, options: {} }, () => host).catch((error: { code: string }) => error.code);
  return { code, stderr: String(stderr.read() ?? '') };
}

const file = (name: string, size: number) => ({ id: 1, parent: 0, name, kind: 'file', mode: 0o777, mtime: 0, size, sparse: false });

it.each(['.bashrc', '../evil', '/etc/evil', '', 'wanted'])(
  'a device that calls its file %j has it written under the name that was typed',
  async (name) => {
    const { inside, dir } = makePlaces();
    writeFileSync(join(inside, '.bashrc'), 'mine');
    const finished = await copyFrom(['pi:/var/wanted', inside], async (peer) => {
      peer.writer.sendJson(Frame.entry, file(name, 4));
      peer.writer.send(Frame.listed);
      await peer.hear(Frame.want);
      peer.writer.send(Frame.begin, encodeBegin(1, 0));
      peer.writer.send(Frame.data, Buffer.from('evil'));
      peer.writer.send(Frame.end, Buffer.concat([encodeNumber(1), createHash('sha256').update('evil').digest()]));
      await peer.hear(Frame.done);
    });
    expect(finished).toMatchObject({ code: 0 });
    expect(readFileSync(join(inside, '.bashrc'), 'utf8')).toBe('mine');
    expect(readdirSync(inside).sort()).toEqual(['.bashrc', 'wanted']);
    expect(readdirSync(dir).sort()).toEqual(['inside', 'outside']);
  },
);

it('a device that answers with a tree where a file was asked for fills a folder of that name, and nothing beside it', async () => {
  const { inside } = makePlaces();
  writeFileSync(join(inside, 'mine'), 'mine');
  await copyFrom(['pi:/var/wanted', inside], async (peer) => {
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: '', kind: 'folder', mode: 0o755, mtime: 0 });
    peer.writer.sendJson(Frame.entry, { id: 2, parent: 1, name: 'mine', kind: 'link', mtime: 0, target: '/etc/passwd' });
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.done);
  });
  expect(readFileSync(join(inside, 'mine'), 'utf8')).toBe('mine');
  expect(readdirSync(inside).sort()).toEqual(['mine', 'wanted']);
});

it('a device that answers with a link where a file was asked for has none made', async () => {
  const { inside } = makePlaces();
  const { code, stderr } = await copyFrom(['pi:/var/wanted', inside], async (peer) => {
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: 'wanted', kind: 'link', mtime: 0, target: '/root/.ssh/id_ed25519' });
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.done);
  });
  expect(code).toBe(1);
  expect(stderr).toContain('a link came where a file or folder was asked for');
  expect(readdirSync(inside)).toEqual([]);
});

it('a device that puts escape sequences into names and reasons has none of them printed', async () => {
  const { inside } = makePlaces();
  const { code, stderr } = await copyFrom(['pi:wanted', inside], async (peer) => {
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: 'x', kind: 'folder', mode: 0o755, mtime: 0 });
    peer.writer.sendJson(Frame.omitted, { parent: 1, name: '\u001b]0;evil\u0007\u009b2J\n', code: 'EACCES' });
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.done);
  });
  expect(code).toBe(1);
  expect(stderr).toContain('permission denied');
  expect(stderr).toMatch(/^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]*$/);
});

it.each<[string, (peer: RawPeer) => Promise<void>]>([
  ['ends without a word', async () => {}],
  ['sends noise', async (peer) => peer.writer.send(Frame.data, Buffer.from('noise'))],
  ['says a reason that is no code', async (peer) => peer.writer.sendJson(Frame.fault, { code: '\u001b[2J' })],
])('a device that %s is an error, and nothing is written', async (_what, act) => {
  const { inside } = makePlaces();
  const { code } = await copyFrom(['pi:wanted', inside], act);
  expect(['protocol_error', 'spawn_failed', 'session_broken', 'session_ended']).toContain(code);
  expect(readdirSync(inside)).toEqual([]);
});
