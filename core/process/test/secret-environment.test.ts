import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createId, type SecretValue, type SessionId } from '@towline/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { resolveIdentity } from '../src/identity.ts';
import { loginCommand, loginShell } from '../src/login-command.ts';
import { loginEnvironment } from '../src/login-environment.ts';
import { openPty } from '../src/open-pty.ts';
import type { Program } from '../src/program.ts';
import { secretsEnvironment, secretsScript } from '../src/secret-environment.ts';
import { startProcess } from '../src/start-process.ts';
import { finishOf, ourselves, readUntil } from './running.ts';

const SHELLS = ['/bin/bash', '/bin/dash', '/bin/sh', '/bin/zsh', '/bin/ksh'].filter((path) => existsSync(path));
const started: Program[] = [];
let home: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'towline-home-'));
  const profile = ['export CHANGED=by-the-profile', 'export SEEN="$EARLY"', 'env > "$HOME/seen"', 'export FROM_PROFILE=yes'];
  for (const name of ['.profile', '.zprofile']) writeFileSync(join(home, name), `${profile.join('\n')}\n`);
});
afterAll(() => rmSync(home, { recursive: true, force: true }));
afterEach(async () => {
  for (const program of started.splice(0)) {
    await program.end();
    program.close();
  }
});

const withShell = (shell: string) => ({ ...ourselves, account: { ...ourselves.account, home, shell } });

function environmentOf(shell: string, secrets: readonly SecretValue[]): Record<string, string> {
  return loginEnvironment({
    account: withShell(shell).account,
    session: createId<SessionId>(),
    principal: 'tester',
    term: 'xterm',
    secrets,
  });
}

/** What a command with these secrets writes. */
async function run(shell: string, secrets: readonly SecretValue[], argv: [string, ...string[]], env = environmentOf(shell, secrets)) {
  const identity = withShell(shell);
  const program = await startProcess({ identity, argv: loginCommand(identity.account, argv, secrets), env, input: false });
  started.push(program);
  return finishOf(program);
}

describe.each(SHELLS)('a command by %s', (shell) => {
  it('has its secrets byte for byte, and nothing of how they came', async () => {
    const values = [
      'plain',
      'two\nlines\n',
      ' a  b ',
      `'"\`$(id)\\`,
      'ü☃🎉',
      '\x01\x7f\x80\x81\x82',
      '*',
      '-n',
      '~',
      '\r\n',
      '\n',
      'x'.repeat(16_384),
    ];
    const secrets = values.map((value, at) => ({ name: `S_${at}`, value }));
    const { stdout, stderr } = await run(shell, secrets, ['cat', '/proc/self/environ']);
    const environment = new Map(
      stdout.split('\0').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)] as const),
    );
    expect(stderr).toBe('');
    for (const { name, value } of secrets) expect(environment.get(name), name).toBe(value);
    expect([...environment.keys()].filter((name) => name.startsWith('TOWLINE_SECRET_'))).toEqual([]);
    expect(environment.get('FROM_PROFILE')).toBe('yes');
  });

  it('has them instead of what the files of the login set, which do not see them by their names', async () => {
    const secrets = [
      { name: 'CHANGED', value: 'the secret' },
      { name: 'EARLY', value: 'not yet' },
    ];
    const { stdout } = await run(shell, secrets, ['sh', '-c', 'echo "$CHANGED|$EARLY|$SEEN"']);
    expect(stdout).toBe('the secret|not yet|\n');
  });

  it('has them whatever its files made of variables of these names, and whatever they mean to this shell', async () => {
    const typed = mkdtempSync(join(tmpdir(), 'towline-typed-'));
    const profile = ['readonly FIXED=by-the-profile', 'if command -v typeset >/dev/null 2>&1; then typeset -i COUNTED; fi'];
    for (const name of ['.profile', '.zprofile']) writeFileSync(join(typed, name), `${profile.join('\n')}\n`);
    // `argv` is what zsh calls "$@".
    const secrets = ['FIXED', 'COUNTED', 'argv'].map((name) => ({ name, value: 'a[$(id)]' }));
    const env = { ...environmentOf(shell, secrets), HOME: typed };
    const { stdout, stderr } = await run(shell, secrets, ['printenv', 'FIXED', 'COUNTED', 'argv'], env);
    rmSync(typed, { recursive: true });
    expect({ stdout, stderr }).toEqual({ stdout: 'a[$(id)]\n'.repeat(3), stderr: '' });
  });

  it('does not run when one of them got lost on the way', async () => {
    const secrets = [{ name: 'LOST', value: 'x' }];
    const { exit, stdout } = await run(shell, secrets, ['echo', 'ran'], environmentOf(shell, []));
    expect(stdout).toBe('');
    expect(exit.exitCode).not.toBe(0);
  });
});

it('what is started before the program of the user has no variable that a secret named', () => {
  const secrets = [{ name: 'LD_SOMETHING', value: 'x' }];
  expect(environmentOf('/bin/bash', secrets)).toMatchObject({ TOWLINE_SECRET_LD_SOMETHING: 'x' });
  expect(environmentOf('/bin/bash', secrets)).not.toHaveProperty('LD_SOMETHING');
  expect(Object.keys(secretsEnvironment(secrets))).toEqual(['TOWLINE_SECRET_LD_SOMETHING']);
});

it('no value is part of a command line', () => {
  const secrets = [{ name: 'A', value: 'never on a command line' }];
  const { account } = ourselves;
  for (const words of [loginCommand(account, ['true'], secrets), loginShell(account, secrets)]) {
    expect(words.join(' ')).not.toContain('never on a command line');
    expect(words.join(' ')).toContain(secretsScript(secrets));
  }
  expect(loginShell(account)).toEqual([account.shell, '-l']);
});

it('a login shell on a terminal has its secrets', async () => {
  const identity = withShell('/bin/bash');
  const secrets = [{ name: 'ON_TERMINAL', value: 'a value of it' }];
  const env = environmentOf('/bin/bash', secrets);
  const pty = await openPty({ identity, argv: loginShell(identity.account, secrets), env, cols: 80, rows: 24 });
  started.push(pty);
  pty.input.write('echo "[$ON_TERMINAL][$FROM_PROFILE][$TOWLINE_SECRET_ON_TERMINAL][$0]"; exit\n');
  expect(await readUntil(pty.outputs[0]!, '[a value of it][yes][][/bin/bash]')).toBeDefined();
});

describe.skipIf(process.getuid?.() !== 0)('where the runtime is root (needs root)', () => {
  it('a command of another user has its secrets, and runs as that user', async () => {
    const { account, switchUser } = await resolveIdentity({ runAs: 'nobody', uid: 0, env: {} });
    const identity = { account: { ...account, shell: '/bin/bash' }, switchUser };
    const secrets = [{ name: 'OF_NOBODY', value: 'x y' }];
    const env = loginEnvironment({ account: identity.account, session: createId<SessionId>(), principal: 'tester', secrets });
    const argv = loginCommand(identity.account, ['sh', '-c', 'id -un; echo "$OF_NOBODY"'], secrets);
    const program = await startProcess({ identity, argv, env, input: false });
    started.push(program);
    expect((await finishOf(program)).stdout).toBe('nobody\nx y\n');
  });
});
