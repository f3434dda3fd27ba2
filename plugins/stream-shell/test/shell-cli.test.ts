import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loginEnvironment, openPty, ownAccount, type Pty } from '@towline/process';
import { createId, type SessionId } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { afterwards, awaitCli, readUntil, type Served } from './shell-session.ts';

/** The user's terminal: a line of sh in which `"$@"` is `towline DEVICE shell`. */
async function onTerminal(line: string): Promise<{ terminal: Pty; id: string; opened: Promise<Served> }> {
  const { words, id, opened } = await awaitCli();
  const identity = { account: ownAccount(process.env), switchUser: [] };
  const env = loginEnvironment({
    account: identity.account,
    session: createId<SessionId>(),
    principal: 'x',
    term: 'xterm',
    lang: 'C.UTF-8',
  });
  const terminal = await openPty({ identity, argv: ['sh', '-c', line, 'sh', ...words], env, cols: 120, rows: 40 });
  afterwards(async () => {
    await terminal.end();
    terminal.close();
  });
  return { terminal, id, opened };
}

/** Says before and after in which modes the terminal is, and with which code the program ended. */
const WATCHED = 'echo "[$(stty -g)]"; "$@"; echo "code $? [$(stty -g)]"';

/** Modes of the terminal before and after, and the exit code. */
async function modesAfter(terminal: Pty, before: string) {
  const text = before + (await readUntil(terminal.outputs[0]!, /code \d+ \[[^\]]+\]/));
  const [first, last] = [...text.matchAll(/\[([0-9a-f:]+)\]/g)].map((match) => match[1]);
  return { kept: first !== undefined && first === last, code: Number(/code (\d+)/.exec(text)![1]), text };
}

describe('the CLI half of shell on a terminal', () => {
  it('names the device, its id and its fingerprint, and lets no name move the cursor', async () => {
    const { terminal, id } = await onTerminal('"$@"');
    const text = await readUntil(terminal.outputs[0]!, /sha256:00ff/);
    expect(text).toContain(`towline: shell on pi\\u{1b}[2J (id ${id}, sha256:00ff)`);
  });

  it('passes keys on as they are, and exits with the code of the shell', async () => {
    const { terminal } = await onTerminal(WATCHED);
    let before = await readUntil(terminal.outputs[0]!, /[#$] /);
    terminal.input.write('stty -a | grep -o "rows [0-9]*; columns [0-9]*"\r');
    before += await readUntil(terminal.outputs[0]!, /rows 40; columns 120/);
    terminal.input.write('tail -n 1 -f /etc/passwd\r');
    before += await readUntil(terminal.outputs[0]!, /tail[^\n]*\r\n[^\n]*:[^\n]*\r\n/);
    terminal.input.write('\x03');
    before += await readUntil(terminal.outputs[0]!, /\^C[\s\S]*[#$] /);
    terminal.input.write('exit 7\r');
    expect(await modesAfter(terminal, before)).toMatchObject({ kept: true, code: 7 });
  });

  it('passes a new size of the terminal on', async () => {
    const { terminal } = await onTerminal('"$@"');
    await readUntil(terminal.outputs[0]!, /[#$] /);
    terminal.resize(99, 33);
    terminal.input.write('sleep 0.3; stty size\r');
    expect(await readUntil(terminal.outputs[0]!, /33 99/)).toContain('33 99');
  });

  it.each([
    ['the shell is left by ~.', 130, (terminal: Pty) => terminal.input.write('\r~.')],
    ['the session breaks', 255, async (_: Pty, opened: Promise<Served>) => (await opened).socket.destroy()],
    ['it is ended by SIGTERM', 143, (terminal: Pty) => signalCli(terminal, 'SIGTERM')],
    ['it is ended by SIGHUP', 129, (terminal: Pty) => signalCli(terminal, 'SIGHUP')],
    ['it fails by an exception', 7, (terminal: Pty) => signalCli(terminal, 'SIGUSR2')],
  ])('puts the terminal back when %s', async (_, code, end) => {
    const { terminal, opened } = await onTerminal(WATCHED);
    const before = await readUntil(terminal.outputs[0]!, /[#$] /);
    await opened;
    await end(terminal, opened);
    const after = await modesAfter(terminal, before);
    expect(after).toMatchObject({ kept: true });
    // Node's own code for an exception that nobody caught is 1; on some versions 7 where a handler threw.
    expect(code === 7 ? [1, 7] : [code]).toContain(after.code);
  });

  it('refuses to run without a terminal, and says what to do', async () => {
    const { words } = await awaitCli();
    const child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    const [text] = await Promise.all([readUntil(child.stderr, /-i/), once(child, 'close')]);
    expect(text).toMatch(/A shell needs a terminal.*towline DEVICE exec/);
    expect(child.exitCode).toBe(2);
  });
});

/** Sends a signal to the program on the terminal: the child of the sh that started it. */
function signalCli(terminal: Pty, signal: string): void {
  execFileSync('pkill', [`-${signal.slice(3)}`, '--parent', String(terminal.pid), 'node']);
}

const hasTmux = spawnSync('tmux', ['-V']).status === 0 && spawnSync('vim', ['--version']).status === 0;

describe.skipIf(!hasTmux)('a full-screen program in a shell (needs tmux and vim)', () => {
  it('is drawn right, and drawn again after the terminal has a new size', async () => {
    const { words } = await awaitCli();
    const socket = join(tmpdir(), `towline-tmux-${createId<SessionId>()}`);
    const tmux = (...args: string[]) => execFileSync('tmux', ['-S', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' });
    afterwards(() => {
      spawnSync('tmux', ['-S', socket, 'kill-server']);
      rmSync(socket, { force: true });
    });
    tmux('new-session', '-d', '-x', '80', '-y', '24', words.map((word) => `'${word}'`).join(' '));
    await screen(tmux, (lines) => lines.some((line) => /[#$] ?$/.test(line)));
    tmux('send-keys', `vim -u NONE -N --cmd 'set ruler laststatus=2 nofixeol' -c 'call setline(1, range(1, 99))' -c 'norm G'`, 'Enter');
    await screen(tmux, (lines) => lines.length === 24 && lines[21] === '99' && /99,1\s+Bot$/.test(lines[22]!));
    tmux('resize-window', '-x', '100', '-y', '40');
    const lines = await screen(tmux, (shown) => shown.length === 40 && shown[37] === '99' && /99,1\s+Bot$/.test(shown[38]!));
    expect(lines.slice(0, 38)).toEqual(Array.from({ length: 38 }, (_, index) => String(62 + index)));
  });
});

/** Waits until the screen is as wanted. */
async function screen(tmux: (...args: string[]) => string, wanted: (lines: readonly string[]) => boolean): Promise<string[]> {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const lines = tmux('capture-pane', '-p').replace(/\n$/, '').split('\n');
    if (wanted(lines)) return lines;
    if (performance.now() > deadline) throw new Error(`the screen stayed:\n${lines.join('\n')}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
