import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { hasOpenSsh } from './support/openssh.ts';
import { bin } from './support/process.ts';
import { useSshSystem } from './support/ssh-system.ts';
import { eventually } from './support/system.ts';
import { hasTmux, openTerminal, type TestTerminal } from './support/terminal.ts';

const tmux = await hasTmux();
/** Large against every buffer on the way. */
const BULK_BYTES = 100 * 1024 ** 2;
/** Each test starts several programs, on a machine that may be busy. */
const TEST_MS = 240_000;

const own = useSshSystem({
  name: 'Pi',
  lines: ['Host alias', `  ProxyCommand '${process.execPath}' '${bin('towline')}' ssh proxy Pi %p`, '  HostKeyAlias pi.towline'],
});
const { ssh } = own;
const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
const devices = async () =>
  (JSON.parse(await own.user.towline(['devices', 'list', '--json'])) as { items: { id: string; name: string }[] }).items;

describe.skipIf(!hasOpenSsh)('ssh DEVICE.towline (needs OpenSSH)', { timeout: TEST_MS }, () => {
  it.each([
    ['its name, which OpenSSH makes lower-case', async () => 'Pi.towline'],
    ['the beginning of its id', async () => `${(await devices())[0]!.id.slice(0, 8)}.towline`],
    ['an alias in the config of the user', async () => 'alias'],
  ])('finds the device by %s, and is the user of this machine there', async (_what, host) => {
    const { code, stdout, stderr } = await ssh([await host(), 'id', '-un']);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: `${userInfo().username}\n` });
  });

  it('asks for the user that was named', async () => {
    const { code, stderr } = await ssh(['nobody-of-that-name@pi.towline', 'true']);
    expect(code).toBe(255);
    expect(stderr).toContain('nobody-of-that-name@pi.towline: Permission denied');
    await own.sshd.program.saw(/Invalid user nobody-of-that-name/, 'stderr');
  });

  it('keeps the key of the host under the name of the device', async () => {
    await ssh(['pi.towline', 'true']);
    const known = readFileSync(join(dirname(own.user.config), 'known_hosts'), 'utf8');
    expect(known).toMatch(new RegExp(`^\\[pi\\.towline\\]:${own.sshd.port} ssh-ed25519 `, 'm'));
  });

  it.each([
    ['0', 'true', 0],
    ['3', 'exit 3', 3],
    ['255 of the command itself', 'exit 255', 255],
    ['127 for a command that does not exist', '/no/such/program', 127],
    ['255 for a death by a signal', 'kill -KILL $$', 255],
  ])('ends with %s', async (_what, command, code) => {
    expect((await ssh(['pi.towline', command])).code).toBe(code);
  });

  it('keeps stdout and stderr apart, and passes on that stdin has ended', async () => {
    const { code, stdout, stderr } = await ssh(['pi.towline', 'wc -c; echo err >&2'], { stdin: 'x'.repeat(70_000) });
    expect({ code, stdout: stdout.trim(), stderr }).toEqual({ code: 0, stdout: '70000', stderr: 'err\n' });
  });

  it('carries 100 MiB to the device and back without a wrong byte', async () => {
    const bytes = randomBytes(BULK_BYTES);
    const program = own.startSsh(['pi.towline', 'cat'], { stdin: 'pipe', ownStdout: true });
    program.child.stdin!.end(bytes);
    const received = createHash('sha256');
    program.child.stdout!.on('data', (chunk: Buffer) => received.update(chunk));
    const { code, stderr } = await program.finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(received.digest('hex')).toBe(digest(bytes));
  });

  it('writes each connection down with its target', async () => {
    await ssh(['pi.towline', 'true']);
    const trail = async () =>
      JSON.parse(await own.user.towline(['Pi', 'audit', '--action', 'session.closed', '--json'])) as { items: unknown[] };
    const [newest] = (await eventually(async () => ((await trail()).items.length > 0 ? trail() : null), 'a session is closed')).items;
    expect(newest).toMatchObject({ protocol: '/forward/1', detail: { forward: 'tcp', host: '127.0.0.1', port: own.sshd.port } });
  });
});

describe.skipIf(!hasOpenSsh || !tmux)('ssh DEVICE.towline on a terminal (needs OpenSSH and tmux)', { timeout: TEST_MS }, () => {
  let terminal: TestTerminal;
  afterEach(() => terminal?.[Symbol.asyncDispose]());
  const open = async (program: string) => {
    terminal = await openTerminal(`${program} -F '${own.user.config}' pi.towline`, own.user.env);
  };
  /** A shell without the files of whoever runs the test, which answers. */
  const openShell = async () => {
    terminal = await openTerminal(`ssh -t -F '${own.user.config}' pi.towline 'PS1="ready> " exec bash --norc --noprofile'`, own.user.env);
    await terminal.shows(/^ready>$/m);
  };

  it('has a terminal of the right size, and follows a resize', async () => {
    await openShell();
    await terminal.type('stty size; tty\n');
    await terminal.shows(/^24 80$/m);
    await terminal.shows(/^\/dev\/pts\/\d+$/m);
    await terminal.resize(100, 30);
    await eventually(async () => {
      await terminal.type('clear; stty size\n');
      return /^30 100$/m.test(await terminal.screen());
    }, 'the device knows the new size');
  });

  it('leaves Ctrl-C to the program on the device, and passes the exit code on', async () => {
    await openShell();
    await terminal.type('sleep 1000\n');
    await terminal.shows(/sleep 1000/);
    await terminal.press('C-c');
    await terminal.type('echo still $((40 + 2))\n');
    await terminal.shows(/^still 42$/m);
    await terminal.type('exit 7\n');
    await terminal.shows(/\[ended with 7\]/);
  });

  it('tells why it ended on a line of its own', async () => {
    await using device = await own.system.enrolDevice(own.relay, { name: 'gone', args: ['--transport', 'tls'] });
    terminal = await openTerminal(
      `ssh -t -F '${own.user.config}' gone.towline 'echo; echo first; echo second; exec sleep 300'`,
      own.user.env,
    );
    await terminal.shows(/^second$/m);
    device.program.child.kill('SIGKILL');
    await terminal.shows(/^towline: The connection to the device was lost\./m);
    await terminal.shows(/^(?:Connection|client_loop)/m);
    await terminal.shows(/\[ended with 255\]/);
  });

  it('goes on after Ctrl-C where the program that uses it does, as sftp', async () => {
    const large = join(own.user.home, 'large');
    writeFileSync(large, '');
    truncateSync(large, 64 * 1024 ** 3);
    await open('sftp');
    await terminal.shows(/^sftp>$/m);
    await terminal.type(`get "${large}" /dev/null\n`);
    await terminal.shows(/ETA/);
    await terminal.press('C-c');
    await terminal.shows(/Interrupt[\s\S]*^sftp>$/m);
    await terminal.type('lpwd\npwd\n');
    await terminal.shows(/^Remote working directory: \//m);
  });
});
