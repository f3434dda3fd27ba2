import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin } from '../../../test/support/process.ts';
import { bodyOf, openApi, type RelayApi } from '../../../test/support/relay-api.ts';
import { runRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import { createSystem, type TestRelay, type TestSystem } from '../../../test/support/system.ts';
import { hasTmux, openTerminal } from '../../../test/support/terminal.ts';

const PASSWORD = 'kettle-orbit-39-salmon';
const HASH = /^scrypt\$131072\$8\$1\$[\w-]{22}\$[\w-]{43}$/;
const tmux = await hasTmux();

/** Runs the command with this on standard input. */
const hash = (stdin: string | Buffer) => runRelay(['hash-password'], { stdin });

describe('towline-relay hash-password on a pipe', () => {
  it('prints a hash with a salt of its own, and nothing else', async () => {
    const [one, other] = [await hash(`${PASSWORD}\n`), await hash(PASSWORD)];
    for (const { code, stdout, stderr } of [one, other]) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout.trimEnd()).toMatch(HASH);
    }
    expect(one.stdout).not.toBe(other.stdout);
  });

  it.each<[string, string | Buffer, string]>([
    ['a short password', 'hunter2\n', 'The password is refused: it is a text of 7 characters.\nTake at least 12 characters'],
    ['one that everybody tries', 'changeme-password\n', 'it is a password that everybody tries first.'],
    ['nothing', '', 'it is an empty text.'],
    ['an empty line', '\n', 'it is an empty text.'],
    ['several lines', `${PASSWORD}\n${PASSWORD}\n`, 'Standard input has several lines'],
    ['a zero byte', `${PASSWORD}\0\n`, 'it is a text with control characters.'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, ...Buffer.from(PASSWORD)]), 'Standard input is not UTF-8.'],
    ['a file', Buffer.alloc(1_000_000, 'x'), 'that is no password.'],
  ])('refuses %s with 2, and does not show it', async (_, stdin, message) => {
    const { code, stdout, stderr } = await hash(stdin);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/hunter2|changeme|kettle/);
  });

  it('takes no password as an argument, and does not repeat it', async () => {
    const { code, stdout, stderr } = await runRelay(['hash-password', PASSWORD]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('too many arguments');
    expect(stderr).not.toContain(PASSWORD);
  });
});

describe.runIf(tmux)('towline-relay hash-password on a terminal', () => {
  const open = () => openTerminal(`${bin('towline-relay')} hash-password`, {});

  it('asks twice and shows nothing of what is typed', async () => {
    await using terminal = await open();
    await terminal.shows(/Password:/);
    await terminal.type(`${PASSWORD}x`);
    await terminal.press('BSpace');
    await terminal.press('Enter');
    await terminal.shows(/Again:/);
    await terminal.type(PASSWORD);
    await terminal.press('Enter');
    await terminal.shows(/scrypt\$131072\$8\$1\$[\s\S]*\[ended with 0\]/);
    expect(await terminal.screen()).not.toContain('kettle');
  });

  it('refuses two that differ', async () => {
    await using terminal = await open();
    await terminal.shows(/Password:/);
    await terminal.type(PASSWORD);
    await terminal.press('Enter');
    await terminal.shows(/Again:/);
    await terminal.type(`${PASSWORD}!`);
    await terminal.press('Enter');
    await terminal.shows(/The two passwords are not the same\.[\s\S]*\[ended with 2\]/);
  });

  it('ends with 130 on Ctrl-C, and the terminal shows what is typed again', async () => {
    await using terminal = await open();
    await terminal.shows(/Password:/);
    await terminal.press('C-c');
    await terminal.shows(/\[ended with 130\]/);
    await terminal.type('seen-again');
    await terminal.shows(/seen-again/);
  });
});

describe('a relay with a user of that hash', () => {
  let system: TestSystem;
  let relay: TestRelay;
  let api: RelayApi;
  const basic = (username: string, password: string) => ({
    headers: { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` },
  });
  beforeAll(async () => {
    system = createSystem();
    const users = [{ username: 'alice', password_hash: (await hash(PASSWORD)).stdout.trim(), email: 'alice@example.com' }];
    const config = join(system.dir, 'relay.yaml');
    writeFileSync(config, JSON.stringify({ auth: ['apikey', 'jwt', { use: 'basic', users }] }), { mode: 0o600 });
    const env = { TOWLINE_JWT_SECRET: 'kQ0v7Zt3Yx9Lr2Wm5Hs8Jd1Fb4Nc6Gp-Ta_UeViXoRq' };
    relay = await startRelayOn(join(system.dir, 'data'), { config, env });
    api = openApi(relay);
  });
  afterAll(async () => {
    api?.[Symbol.dispose]();
    await relay?.[Symbol.asyncDispose]();
    await system[Symbol.asyncDispose]();
  });

  it('lets them in, and a token that is made of the login too', async () => {
    const me = await api.call('GET', '/v1/me', basic('alice', PASSWORD));
    expect(bodyOf(me)).toMatchObject({ email: 'alice@example.com' });
    const { token } = bodyOf<{ token: string }>(await api.call('POST', '/v1/auth/token', basic('alice', PASSWORD)));
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    expect(bodyOf(await api.call('GET', '/v1/me', bearer))).toMatchObject({ email: 'alice@example.com' });
    expect(await api.call('POST', '/v1/auth/token', bearer)).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it('lets nobody in by a wrong password or a token that was tampered with', async () => {
    expect(await api.call('GET', '/v1/me', basic('alice', `${PASSWORD}!`))).toMatchObject({ status: 401, code: 'unauthenticated' });
    const { token } = bodyOf<{ token: string }>(await api.call('POST', '/v1/auth/token', basic('alice', PASSWORD)));
    const bearer = { headers: { authorization: `Bearer ${token.slice(0, -4)}` } };
    expect(await api.call('GET', '/v1/me', bearer)).toMatchObject({ status: 401, code: 'token_invalid' });
  });
});
