import { once } from 'node:events';
import { lchownSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectUnix } from '../src/device/connect.ts';
import { allowedSocket } from '../src/device/unix-path.ts';
import { createAllowList } from '../src/target/allow-list.ts';

let dir: string;
let servers: Server[];
beforeEach(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), 'unix-')));
  servers = [];
});
afterEach(() => {
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

async function serve(path: string, word: string): Promise<string> {
  const server = createServer((socket) => void socket.end(word));
  servers.push(server);
  await once(server.listen(path), 'listening');
  return path;
}
const find = (path: string, ...allow: string[]) => allowedSocket({ kind: 'unix', path }, createAllowList(allow));
const said = async (path: string) =>
  await text(await connectUnix(path, { signal: new AbortController().signal, untilMs: performance.now() + 10_000 }));

describe('a unix socket of the device', () => {
  it.runIf(process.platform === 'linux')(
    'is the one that was judged, although a link was put in its place before the connection',
    async () => {
      const app = await serve(join(dir, 'app.sock'), 'app');
      const secret = await serve(join(dir, 'secret.sock'), 'secret');
      await using found = await find(app, `unix:${app}`);
      renameSync(app, join(dir, 'aside.sock'));
      symlinkSync(secret, app);
      expect(await said(found.path)).toBe('app');
    },
  );

  it('is found by links of the one who lists it, in its path and in its place', async () => {
    mkdirSync(join(dir, 'run'));
    const real = await serve(join(dir, 'run', 'real.sock'), 'real');
    symlinkSync('run', join(dir, 'linked'));
    symlinkSync('../linked/real.sock', join(dir, 'run', 'link.sock'));
    const listed = join(dir, 'linked', 'link.sock');
    for (const path of [listed, real]) {
      await using found = await find(path, `unix:${listed}`);
      expect(await said(found.path)).toBe('real');
    }
    await using inFolder = await find(join(dir, 'run', 'link.sock'), `unix:${join(dir, 'linked')}/*`);
    expect(await said(inFolder.path)).toBe('real');
  });

  it.runIf(process.getuid?.() === 0)('is not what somebody else has the listed path, or a folder in it, lead to', async () => {
    mkdirSync(join(dir, 'app'));
    mkdirSync(join(dir, 'root'));
    const secret = await serve(join(dir, 'root', 'a.sock'), 'secret');
    const listed = join(dir, 'app', 'a.sock');
    symlinkSync(secret, listed);
    lchownSync(listed, 65_534, 65_534);
    await expect(find(listed, `unix:${listed}`)).rejects.toMatchObject({ code: 'target_not_allowed' });
    await expect(find(secret, `unix:${listed}`)).rejects.toMatchObject({ code: 'target_not_allowed' });
    unlinkSync(listed);
    symlinkSync(join(dir, 'root'), join(dir, 'app', 'sub'));
    lchownSync(join(dir, 'app', 'sub'), 65_534, 65_534);
    const below = join(dir, 'app', 'sub', 'a.sock');
    await expect(find(below, `unix:${below}`)).rejects.toMatchObject({ code: 'target_not_allowed' });
    await expect(find(below, `unix:${join(dir, 'app', 'sub')}/*`)).rejects.toMatchObject({ code: 'target_not_allowed' });
  });

  it('is not found in a circle of links, and leaves no handle open whatever comes of it', async () => {
    symlinkSync('b', join(dir, 'a'));
    symlinkSync('a', join(dir, 'b'));
    const real = await serve(join(dir, 'real.sock'), 'real');
    const handles = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);
    const before = handles();
    for (let at = 0; at < 20; at += 1) {
      await expect(find(join(dir, 'a'), `unix:${join(dir, 'a')}`)).rejects.toMatchObject({ code: 'target_not_found' });
      await expect(find(real, `unix:${join(dir, 'a')}`)).rejects.toMatchObject({ code: 'target_not_allowed' });
      await using _found = await find(real, `unix:${real}`);
    }
    expect(handles()).toBeLessThan(before + 10);
  });
});
