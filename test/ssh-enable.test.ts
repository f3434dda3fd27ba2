import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hostBlock } from '../cli/src/ssh/host-block.ts';
import { findProgram, hasOpenSsh } from './support/openssh.ts';
import { bin, runProgram } from './support/process.ts';
import { useSshSystem } from './support/ssh-system.ts';

/** Each test starts several programs, on a machine that may be busy. */
const TEST_MS = 180_000;

const own = useSshSystem();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'towline-ssh-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Writes down the words that it is called with, beside itself. */
const WITNESS = `#!/bin/sh
for word in "$@"; do printf '[%s]' "$word"; done > "$(dirname "$0")/words"
`;
const SHELLS = ['sh', 'bash', 'dash', 'zsh', 'fish', 'tcsh'].filter((name) => findProgram(name) !== null);

describe.skipIf(!hasOpenSsh)('the command that OpenSSH is told to run (needs OpenSSH)', { timeout: TEST_MS }, () => {
  it.each(SHELLS)('arrives word by word from odd folders, where the shell of the user is %s', async (shell) => {
    const folder = join(dir, `100% o'dd "$HOME" \`id\` %h #;&|<> ü`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'witness'), WITNESS, { mode: 0o700 });
    const config = join(dir, 'config');
    writeFileSync(config, hostBlock([join(folder, 'witness'), '--profile', 'a b', '--']), { mode: 0o600 });
    await runProgram('ssh', ['-F', config, '-p', '77', 'Pi-1.x.towline'], { env: { SHELL: findProgram(shell)! } });
    expect(readFileSync(join(folder, 'words'), 'utf8')).toBe('[--profile][a b][--][pi-1.x.towline][77]');
  });

  it.each([
    "x';touch HERE;'.towline",
    'x$(touch HERE).towline',
    'x`touch HERE`.towline',
    'x;touch HERE;.towline',
    '-oProxyCommand=touch HERE.towline',
  ])('lets no host name run a program: %s', async (name) => {
    writeFileSync(join(dir, 'witness'), WITNESS, { mode: 0o700 });
    const config = join(dir, 'config');
    writeFileSync(config, hostBlock([join(dir, 'witness'), '--']), { mode: 0o600 });
    const host = name.replace('HERE', join(dir, 'made'));
    const { code } = await runProgram('ssh', ['-F', config, '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=5', '--', host], {
      env: { SHELL: '/bin/sh' },
    });
    expect(code).toBe(255);
    expect(existsSync(join(dir, 'made'))).toBe(false);
  });

  it('wins over what the user has set for all hosts', async () => {
    const config = join(dir, 'config');
    writeFileSync(config, 'ProxyJump bastion\nUser me\nHost *\n  ProxyCommand none\n  ProxyUseFdpass yes\n', { mode: 0o600 });
    await own.user.towline(['ssh', 'enable', '--file', config]);
    const settings = async (host: string) => (await runProgram('ssh', ['-G', '-F', config, host])).stdout.split('\n');
    const ours = await settings('pi.towline');
    expect(ours).toContain('user me');
    expect(ours).toContain('proxyusefdpass no');
    expect(ours.find((line) => line.startsWith('proxycommand'))).toContain("ssh proxy -- '%h' '%p'");
    expect(ours.some((line) => line.startsWith('proxyjump'))).toBe(false);
    const others = await settings('example.com');
    expect(others).toContain('proxyjump bastion');
  });

  it('is refused where OpenSSH is too old to include files', async () => {
    const folder = join(dir, 'bin');
    mkdirSync(folder);
    writeFileSync(join(folder, 'ssh'), '#!/bin/sh\necho "OpenSSH_7.2p2 Ubuntu" >&2\n', { mode: 0o700 });
    const { code, stderr } = await own.user.run(bin('towline'), ['ssh', 'enable', '--file', join(dir, 'new', 'config')], {
      env: { PATH: `${folder}:${process.env.PATH}` },
    });
    expect(code).toBe(1);
    expect(stderr).toContain('OpenSSH 7.3 or newer');
    expect(existsSync(join(dir, 'new'))).toBe(false);
  });
});

/** Runs a program where this user has another home, which OpenSSH finds by the list of users and not by HOME. */
const canMove = (() => {
  try {
    execFileSync('unshare', ['-m', 'sh', '-c', 'mount --bind /etc/passwd /etc/passwd'], { stdio: 'ignore' });
    return hasOpenSsh;
  } catch {
    return false;
  }
})();

describe.skipIf(!canMove)(
  'towline ssh enable for the config that the user has (needs OpenSSH, and root for a namespace)',
  { timeout: TEST_MS },
  () => {
    it('has plain `ssh DEVICE.towline` work, and leaves the config byte for byte as it was once disabled', async () => {
      const home = join(dir, 'home');
      mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 });
      const config = join(home, '.ssh', 'config');
      const before = readFileSync(own.user.config, 'utf8').split('\n').slice(2).join('\n');
      writeFileSync(config, before, { mode: 0o644 });
      const { username, uid, gid } = userInfo();
      const passwd = join(dir, 'passwd');
      writeFileSync(passwd, `${username}:x:${uid}:${gid}::${home}:/bin/sh\n`, { mode: 0o644 });
      const run = async (...words: string[]) => {
        const script = 'mount --bind "$1" /etc/passwd && shift && exec "$@"';
        const finished = await own.user.run('unshare', ['-m', 'sh', '-c', script, 'sh', passwd, ...words]);
        expect(finished.code, finished.stderr).toBe(0);
        return finished.stdout;
      };
      await run(bin('towline'), 'ssh', 'enable');
      expect(readFileSync(config, 'utf8')).toMatch(/^# .*\nInclude ".*\/home\/\.ssh\/towline\.conf"\n/);
      expect(await run('ssh', 'pi.towline', 'echo reached')).toBe('reached\n');
      await run(bin('towline'), 'ssh', 'disable');
      expect(readFileSync(config, 'utf8')).toBe(before);
      expect(statSync(config).mode & 0o777).toBe(0o644);
      expect(existsSync(join(home, '.ssh', 'towline.conf'))).toBe(false);
    });
  },
);
