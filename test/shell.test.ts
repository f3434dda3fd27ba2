import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bin } from './support/process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal, type TestTerminal } from './support/terminal.ts';

const tmux = await hasTmux();
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let terminal: TestTerminal;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  device = await system.enrolDevice(relay, { env: { PS1: 'never inherited' } });
});
afterEach(async () => terminal?.[Symbol.asyncDispose]());
afterAll(() => system[Symbol.asyncDispose]());

/** A terminal in which the shell of the device has begun and answers. */
async function openShell(): Promise<void> {
  terminal = await openTerminal(`${bin('towline')} pi shell`, {
    TOWLINE_RELAY: relay.url,
    TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
    TOWLINE_API_KEY: relay.adminKey,
    TOWLINE_CONFIG_DIR: join(system.dir, 'shell-user'),
  });
  await terminal.shows(/sha256:/);
  await terminal.type('PS1="ready> "; clear\n');
  await terminal.shows(/^ready>$/m);
}

const vim = 'vim -u NONE -N -i NONE -n';

describe.skipIf(!tmux)('towline DEVICE shell (needs tmux)', () => {
  it('names the device, its id and its fingerprint when it opens', async () => {
    const devices = JSON.parse((await system.towline(relay, ['devices', 'list', '--json'])).stdout) as {
      items: { id: string; fingerprint: string }[];
    };
    terminal = await openTerminal(`${bin('towline')} pi shell`, {
      TOWLINE_RELAY: relay.url,
      TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
      TOWLINE_API_KEY: relay.adminKey,
      TOWLINE_CONFIG_DIR: join(system.dir, 'shell-user'),
    });
    await terminal.shows(/sha256:[0-9a-f]{10}/);
    const shown = (await terminal.screen()).replaceAll('\n', '');
    expect(shown).toContain('pi');
    expect(shown).toContain(devices.items[0]!.id);
    expect(shown).toContain(devices.items[0]!.fingerprint);
    // Ended no sooner than it answers: what a login runs first, as `pyenv init`, may leave a lock behind when it is cut off.
    await terminal.type('PS1="ready> "; clear\n');
    await terminal.shows(/^ready>$/m);
  });

  it('runs in a terminal of the right size, kind and encoding', async () => {
    await openShell();
    await terminal.type('stty size; tty; tput colors; echo Zürich 日本\n');
    await terminal.shows(/^24 80$/m);
    await terminal.shows(/^\/dev\/pts\/\d+$/m);
    await terminal.shows(/^(8|256)$/m);
    await terminal.shows(/^Zürich 日本$/m);
  });

  it('follows a resize', async () => {
    await openShell();
    await terminal.resize(100, 30);
    await eventually(async () => {
      await terminal.type('clear; stty size\n');
      return /^30 100$/m.test(await terminal.screen());
    }, 'the device knows the new size');
  });

  it('interrupts a program with Ctrl-C and leaves the shell running', async () => {
    await openShell();
    await terminal.type('sleep 1000\n');
    await terminal.shows(/sleep 1000/);
    await terminal.press('C-c');
    await terminal.type('echo still $((40 + 2))\n');
    await terminal.shows(/^still 42$/m);
  });

  it('passes the exit code on and gives the terminal back', async () => {
    await openShell();
    await terminal.type('exit 7\n');
    await terminal.shows(/\[ended with 7\]/);
  });

  it('draws a full-screen program correctly after a resize', async () => {
    await openShell();
    await terminal.type(`seq 1 200 > /tmp/towline-vim-${process.pid}; ${vim} /tmp/towline-vim-${process.pid}\n`);
    await terminal.shows(/^1\n2\n3\n[\s\S]*^23$/m);
    await terminal.resize(60, 12);
    await terminal.type('50Gzt');
    await terminal.shows(/^50\n51\n52\n53\n54\n55\n56\n57\n58\n59\n60\n(?!61)/m);
    await terminal.resize(80, 24);
    await terminal.type('1Gzt');
    await terminal.shows(/^1\n2\n3\n[\s\S]*^23$/m);
    await terminal.type(`:!rm /tmp/towline-vim-${process.pid}\n\n:q!\n`);
    await terminal.shows(/^ready>$/m);
  });

  it('ends what it started when the terminal goes away', async () => {
    await openShell();
    await terminal.type(`bash -c 'exec -a towline-left-${process.pid} sleep 500' &\n`);
    await terminal.type(`bash -c 'exec -a towline-front-${process.pid} sleep 500'\n`);
    const left = async () =>
      (await system.towline(relay, ['pi', 'exec', '--', 'pgrep', '-fxc', `towline-(left|front)-${process.pid} 500`])).stdout.trim();
    await eventually(async () => Number(await left()) === 2, 'both run');
    await terminal[Symbol.asyncDispose]();
    await eventually(async () => (await left()) === '0', 'both are gone');
  });
});

describe('towline DEVICE shell', () => {
  it('refuses without a terminal and says what to use', async () => {
    const { code, stderr } = await system.towline(relay, ['pi', 'shell'], { stdin: '' });
    expect(code).toBe(255);
    expect(stderr).toContain('exec');
    expect(device.program.child.exitCode).toBeNull();
  });
});
