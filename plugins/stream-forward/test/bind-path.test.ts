import { once } from 'node:events';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindPath, exposedFolder } from '../src/client/bind-path.ts';

const isRoot = process.getuid?.() === 0;
let dir: string;
let path: string;
let closings: (() => void)[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bind-'));
  path = join(dir, 'a.sock');
  closings = [];
});
afterEach(() => {
  for (const close of closings) close();
  rmSync(dir, { recursive: true, force: true });
});

/** Listens by {@link bindPath}; says a word to whoever connects. */
async function bind(word = 'ours', at = path) {
  const bound = await bindPath(at, (socket) => void socket.on('error', () => {}).end(word));
  closings.push(bound.close);
  return bound;
}
/** Another program's server. */
async function serve(at: string, word: string): Promise<Server> {
  const server = createServer((socket) => void socket.on('error', () => {}).end(word));
  await once(server.listen(at), 'listening');
  closings.push(() => server.close());
  return server;
}
/** A socket on which nobody listens. */
async function leaveBehind(at: string): Promise<void> {
  const server = await serve(join(dir, 'gone'), 'gone');
  linkSync(join(dir, 'gone'), at);
  await new Promise((closed) => server.close(closed));
}
const said = (at = path) => text(connect({ path: at }));
const refusal = (message: string) => ({ code: 'cannot_listen', message: expect.stringContaining(message) });

describe('a local unix socket', () => {
  it('is for its user alone from the beginning, leaves the mask as it was, and goes when it is closed', async () => {
    const mask = process.umask();
    const bound = await bind();
    expect(process.umask()).toBe(mask);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(await said()).toBe('ours');
    bound.close();
    expect(readdirSync(dir)).toEqual([]);
  });

  it('takes the place of one of its user that was left behind', async () => {
    await leaveBehind(path);
    await bind();
    expect(await said()).toBe('ours');
  });

  it.each<[string, string, () => unknown]>([
    ['one on which a program listens', 'Another program uses', () => serve(path, 'theirs')],
    ['a file', 'is no socket', () => writeFileSync(path, 'precious')],
    ['a folder', 'is no socket', () => mkdirSync(path)],
    ['a link to nothing', 'is no socket', () => symlinkSync('nothing', path)],
    [
      'a link to a socket that was left behind',
      'is no socket',
      () => leaveBehind(join(dir, 'b.sock')).then(() => symlinkSync('b.sock', path)),
    ],
    ...(isRoot
      ? [
          ['what another user left behind', 'another user', () => leaveBehind(path).then(() => lchownSync(path, 65_534, 65_534))] as [
            string,
            string,
            () => unknown,
          ],
        ]
      : []),
  ])('leaves %s where it is, and says why', async (_what, why, put) => {
    await put();
    const before = [readdirSync(dir).sort(), lstatSync(path).ino];
    await expect(bind()).rejects.toMatchObject(refusal(why));
    expect([readdirSync(dir).sort(), lstatSync(path).ino]).toEqual(before);
  });

  it.each<[string, (at: string) => unknown, (at: string) => unknown]>([
    ['a file', (at) => writeFileSync(at, 'precious'), (at) => readFileSync(at, 'utf8')],
    ['the socket of another program', (at) => serve(at, 'theirs'), said],
  ])('does not take %s away when it is closed that was put in its place', async (_what, put, get) => {
    const bound = await bind();
    renameSync(path, join(dir, 'aside'));
    await put(path);
    const before = await get(path);
    bound.close();
    expect(await get(path)).toBe(before);
  });

  it('is made by one of several that find the same one left behind, and works', async () => {
    await leaveBehind(path);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, (_, at) => bind(`program ${at}`)));
    const won = tries.findIndex(({ status }) => status === 'fulfilled');
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const [at, each] of tries.entries()) if (at !== won) expect(each).toMatchObject({ reason: refusal('Another program uses') });
    expect(await said()).toBe(`program ${won}`);
  });

  it('is not made under a name that was cut, nor where there is no folder', async () => {
    const long = join(dir, 'x'.repeat(108));
    await expect(bind('ours', long)).rejects.toMatchObject(refusal('longer than'));
    await expect(bind('ours', join(dir, 'none', 'a.sock'))).rejects.toMatchObject(refusal('no folder'));
    writeFileSync(join(dir, 'file'), '');
    await expect(bind('ours', join(dir, 'file', 'a.sock'))).rejects.toMatchObject(refusal('no folder'));
    expect(readdirSync(dir)).toEqual(['file']);
  });

  it('is told to be exposed in a folder where others could put another in its place', () => {
    expect(exposedFolder(path)).toBe(null);
    chmodSync(dir, 0o777);
    expect(exposedFolder(path)).toContain(dir);
    chmodSync(dir, 0o1777);
    expect(exposedFolder(path)).toBe(null);
    if (!isRoot) return;
    chmodSync(dir, 0o755);
    lchownSync(dir, 65_534, 65_534);
    expect(exposedFolder(path)).toContain(dir);
  });
});
