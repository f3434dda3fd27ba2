import { join } from 'node:path';
import { spawn } from 'node-pty';
import { describe, expect, it } from 'vitest';
import { list, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY } from './run-cli.ts';
import { meView } from './views.ts';

const BIN = join(import.meta.dirname, '..', 'bin', 'towline.js');

/** What a terminal shows until the program ends; `type` is asked what to type whenever something new is shown. */
function onTerminal(args: readonly string[], env: Record<string, string>, type: (shown: string) => string | null) {
  return new Promise<{ code: number; shown: string }>((resolve) => {
    const terminal = spawn(process.execPath, [BIN, ...args], { env: { ...env, PATH: process.env.PATH!, TERM: 'xterm' } });
    const timer = setTimeout(() => terminal.kill('SIGKILL'), 20_000);
    let shown = '';
    terminal.onData((text) => {
      shown += text;
      const keys = type(shown);
      if (keys !== null) terminal.write(keys);
    });
    terminal.onExit(({ exitCode }) => {
      clearTimeout(timer);
      resolve({ code: exitCode, shown });
    });
  });
}

/** Types once, when the question has been asked. */
function answerOnce(keys: string): (shown: string) => string | null {
  let asked = false;
  return (shown) => {
    if (asked || !shown.includes('(not shown)')) return null;
    asked = true;
    return keys;
  };
}

describe('login on a terminal', () => {
  const env = (dir: string) => ({ TOWLINE_CONFIG_DIR: dir, TOWLINE_CA_FILE: join(dir, '..', 'ca.pem') });

  it('asks for the key without showing it, once the relay has proved itself', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(({ path }) => (path === '/v1/me' ? { json: meView() } : list([])));
    // A slip and its correction: backspace takes back the last letter.
    const { code, shown } = await onTerminal(['login', '--relay', peer.url], env(user.dir), answerOnce(`${USER_KEY}x\u007f\r`));
    expect({ code, shown }).toMatchObject({ code: 0, shown: expect.stringContaining('logged in to') });
    expect(shown).not.toContain('aaaa');
    expect(peer.requests.map(({ path, headers }) => [path, headers['x-api-key']])).toEqual([
      ['/v1/login-methods', undefined],
      ['/v1/me', USER_KEY],
    ]);
  });

  it('is left by Ctrl-C with 130, and nothing is sent', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(() => list([]));
    const { code } = await onTerminal(['login', '--relay', peer.url], env(user.dir), answerOnce('twl_u_half\u0003'));
    expect(code).toBe(130);
    expect(peer.requests.map(({ path }) => path)).toEqual(['/v1/login-methods']);
  });

  it('asks for nothing when the relay is not trusted', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(() => list([]));
    const { code, shown } = await onTerminal(['login', '--relay', peer.url], { TOWLINE_CONFIG_DIR: user.dir }, answerOnce('x\r'));
    expect({ code, shown }).toMatchObject({ code: 1, shown: expect.stringContaining('not trusted here') });
    expect(shown).not.toContain('(not shown)');
  });

  it('colours tables on a terminal, and not with NO_COLOR or --no-color', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(() => ({ json: meView() }));
    const own = { ...env(user.dir), TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY };
    const nothing = () => null;
    expect((await onTerminal(['whoami'], own, nothing)).shown).toContain('\u001b[1m');
    expect((await onTerminal(['whoami'], { ...own, NO_COLOR: '1' }, nothing)).shown).not.toContain('\u001b');
    expect((await onTerminal(['whoami', '--no-color'], own, nothing)).shown).not.toContain('\u001b');
  });
});
