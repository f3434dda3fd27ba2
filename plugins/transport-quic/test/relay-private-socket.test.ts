import { chmodSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PeerAddress } from '@towline/contract';
import { frameMessage } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePreface } from '../src/edge/preface.ts';
import { folderCandidates, makePrivateFolder, removePrivateFolder } from '../src/relay/private-folder.ts';
import { openPrivateSocket, type PrivateSocket } from '../src/relay/private-socket.ts';
import { keepingLog, until } from './edge-door.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tq-'));
});
afterEach(() => rm(base, { recursive: true, force: true }));

describe('a private folder', () => {
  it('is for its user alone, and is removed with its socket', async () => {
    const folder = await makePrivateFolder(base);
    expect(statSync(folder.path).mode & 0o777).toBe(0o700);
    expect(dirname(folder.socketPath)).toBe(folder.path);
    writeFileSync(folder.socketPath, '');
    await removePrivateFolder(folder.path);
    expect(readdirSync(base)).toEqual([]);
  });

  it('is not made where the path of a socket would be cut', async () => {
    const deep = join(base, 'x'.repeat(80));
    mkdirSync(deep);
    await expect(makePrivateFolder(deep)).rejects.toThrow(/has 1\d\d bytes/);
    symlinkSync(deep, join(base, 'short'));
    await expect(makePrivateFolder(join(base, 'short'))).rejects.toThrow(/bytes/);
    expect(readdirSync(deep)).toEqual([]);
  });

  it('is not made where others may put something else in its place, on any level', async () => {
    const inner = join(base, 'a', 'b');
    mkdirSync(inner, { recursive: true });
    chmodSync(join(base, 'a'), 0o777);
    await expect(makePrivateFolder(inner)).rejects.toThrow(`others may write to ${join(base, 'a')}`);
    chmodSync(join(base, 'a'), 0o1777);
    await makePrivateFolder(inner);
  });

  it.skipIf(process.getuid?.() !== 0)('is not made in what belongs to another user', async () => {
    await chown(base, 12_345, 12_345);
    await expect(makePrivateFolder(base)).rejects.toThrow(`${base} belongs to another user`);
  });

  it('that is something else is not removed', async () => {
    const precious = join(base, 'precious');
    mkdirSync(precious);
    await removePrivateFolder(precious);
    const full = join(base, 'towline-quic-full');
    mkdirSync(full);
    writeFileSync(join(full, 'file'), '');
    await removePrivateFolder(full);
    await removePrivateFolder('towline-quic-relative');
    await removePrivateFolder(join(base, 'towline-quic-absent'));
    expect(readdirSync(base).sort()).toEqual(['precious', 'towline-quic-full']);
  });

  it('may be in the data folder, in that of the session, or among temporary files', () => {
    expect(folderCandidates('/data', { XDG_RUNTIME_DIR: '/run/user/1' })).toEqual(
      ['/data', '/run/user/1', tmpdir(), '/tmp'].filter(unique),
    );
    expect(folderCandidates('/data', { XDG_RUNTIME_DIR: 'relative' })).not.toContain('relative');
  });
});

describe('the private socket', () => {
  const sockets: Socket[] = [];
  const accepted: { readonly socket: Socket; readonly peer: PeerAddress }[] = [];
  const log = keepingLog();
  let open: PrivateSocket;

  beforeEach(async () => {
    log.lines.splice(0);
    accepted.splice(0);
    open = await openPrivateSocket({
      folders: [join(base, 'absent'), base],
      accept: (socket, peer) => void accepted.push({ socket: socket as Socket, peer }),
      maxConnections: 20,
      log,
      prefaceMs: 1_000,
    });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const { socket } of accepted) socket.destroy();
    await open[Symbol.asyncDispose]();
    expect(readdirSync(base)).toEqual([]);
  });

  /** A connection to it; what was read of it, and whether it is closed. */
  function reach(...bytes: Uint8Array[]) {
    const socket = connect(open.door.path);
    sockets.push(socket);
    const seen = { socket, closed: false };
    socket.on('error', () => undefined).once('close', () => (seen.closed = true));
    socket.resume();
    for (const part of bytes) socket.write(part);
    return seen;
  }
  const preface = (extra: object = {}) => encodePreface({ secret: open.door.secret, address: '192.0.2.7', ...extra });

  it('hands over who brings the right preface, with all that follows it', async () => {
    reach(preface(), Buffer.from('GET /'));
    await until('it was handed over', () => accepted.length === 1);
    expect(accepted[0]!.peer).toEqual({ address: '192.0.2.7' });
    let text = '';
    accepted[0]!.socket.on('data', (bytes) => (text += String(bytes)));
    await until('what follows', () => text === 'GET /');
  });

  it('hands over who brings it byte by byte', async () => {
    const { socket } = reach();
    for (const byte of Buffer.concat([preface({ address: '2001:db8::1' }), Buffer.from('GET')])) {
      socket.write(Buffer.of(byte));
      await new Promise((sent) => setImmediate(sent));
    }
    await until('it was handed over', () => accepted.length === 1);
    expect(accepted[0]!.peer).toEqual({ address: '2001:db8::1' });
  });

  const json = (value: unknown) => frameMessage(Buffer.from(JSON.stringify(value)));
  it.each([
    ['another secret', () => encodePreface({ secret: 'guess', address: '192.0.2.7' })],
    ['a secret that only begins alike', () => encodePreface({ secret: open.door.secret.slice(0, -1), address: '192.0.2.7' })],
    ['no secret', () => json({ address: '192.0.2.7' })],
    ['no address', () => json({ secret: open.door.secret, address: 'here' })],
    ['something more', () => json({ secret: open.door.secret, address: '192.0.2.7', proxy: '192.0.2.8' })],
    ['a huge length', () => Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['a length just too large', () => Buffer.from([0, 0, 4, 1])],
    ['nothing in it', () => Buffer.alloc(4)],
    ['no JSON', () => frameMessage(Buffer.from('nonsense'))],
    ['an HTTP request instead', () => Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ] as const)('drops who brings a preface with %s', async (_, bytes) => {
    const stranger = reach(bytes());
    await until('it was dropped', () => stranger.closed);
    expect(accepted).toEqual([]);
    expect(open.figures.dropped_prefaces_total).toBe(1);
    expect(log.lines.join('')).not.toContain(open.door.secret);
  });

  it('drops who brings it too slowly, and who hangs up in between', async () => {
    const slow = reach(preface().subarray(0, 9));
    const gone = reach(preface().subarray(0, 9));
    gone.socket.end();
    await until('both were dropped', () => slow.closed && gone.closed);
    expect(accepted).toEqual([]);
  });

  it('drops what is beyond its bounds, says so in one line, and serves on', async () => {
    const flood = Array.from({ length: 600 }, () => reach());
    await until('the surplus was dropped', () => flood.filter(({ closed }) => closed).length >= 60);
    expect(flood.filter(({ closed }) => !closed).length).toBeLessThanOrEqual(540);
    await until('the others were dropped when their time was over', () => flood.every(({ closed }) => closed));
    reach(preface());
    await until('it was handed over', () => accepted.length === 1);
    expect(log.lines).toHaveLength(1);
  });
});

it('tells why when no folder will do', async () => {
  chmodSync(base, 0o777);
  const opening = openPrivateSocket({
    folders: [join(base, 'absent'), base],
    accept: () => undefined,
    maxConnections: 1,
    log: keepingLog(),
  });
  await expect(opening).rejects.toMatchObject({ code: 'unavailable', detail: expect.stringMatching(/ENOENT.*others may write/) });
});

function unique<Value>(value: Value, at: number, all: readonly Value[]): boolean {
  return all.indexOf(value) === at;
}
