import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from '../../test/support/keys.ts';
import type { Finished } from '../../test/support/process.ts';
import { createIdentity, enrolRawDevice, requestEnrolment } from '../../test/support/raw-device.ts';
import { openApi, type RelayApi } from '../../test/support/relay-api.ts';
import { createSystem, type TestRelay, type TestSystem } from '../../test/support/system.ts';

// The commands for people and permissions against a real relay, as its admin and as others.

const NOBODY = 'carol@example.com';
let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
/** Keys of people, by name. */
const keys: Record<string, string> = {};
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
  for (const name of ['bob', 'eve']) {
    keys[name] = (
      await createKey(system, relay, ['--email', `${name}@example.com`, '--scope', `user:${name}@example.com`, '--role', 'admin'])
    ).key;
  }
  await enrolRawDevice(api, { name: 'pi', owner: 'org:acme' });
  expect((await ada('orgs', 'create', 'acme', '--name', 'Acme Ltd', '--adopt')).code).toBe(0);
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
});

/** The platform admin. */
const ada = (...args: string[]): Promise<Finished> => system.towline(relay, args);
const as = (key: string, ...args: string[]): Promise<Finished> => system.towline(relay, args, { key });
const bob = (...args: string[]): Promise<Finished> => as(keys.bob!, ...args);
const json = <Document>({ code, stdout, stderr }: Finished): Document => {
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Document;
};
interface Items<Item> {
  readonly items: readonly Item[];
}

describe('orgs', () => {
  it('are created once, for ever, and not over what names them already', async () => {
    expect(await ada('orgs', 'create', 'umbrella')).toMatchObject({ code: 0, stdout: 'created org:umbrella (umbrella)\n' });
    expect(await ada('orgs', 'create', 'umbrella')).toMatchObject({ code: 1, stdout: '' });
    expect(await bob('orgs', 'create', 'mine')).toMatchObject({ code: 3, stdout: '' });
    await enrolRawDevice(api, { name: 'old', owner: 'org:named' });
    expect(await ada('orgs', 'create', 'named')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/adopt/) });
    expect(json<Items<{ id: string }>>(await ada('orgs', 'list', '--json')).items.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['acme', 'umbrella']),
    );
    expect((await ada('orgs', 'show', 'acme')).stdout).toMatch(/^name +Acme Ltd$/m);
    expect(await bob('orgs', 'show', 'acme')).toMatchObject({ code: 4, stdout: '' });
    expect(json(await bob('orgs', 'list', '--json'))).toEqual({ items: [], next: null });
  });

  it('have members, of whom the last admin stays', async () => {
    for (const email of ['bob@example.com', NOBODY]) {
      expect(await ada('orgs', 'members', 'add', 'umbrella', email, '--role', 'admin')).toMatchObject({ code: 0 });
    }
    expect((await ada('orgs', 'members', 'list', 'umbrella')).stdout).toMatch(/^bob@example\.com +admin +\S+ ago +\S+/m);
    expect(await ada('orgs', 'members', 'add', 'umbrella', NOBODY, '--role', 'viewer')).toMatchObject({ code: 0 });
    expect(await ada('orgs', 'members', 'remove', 'umbrella', 'bob@example.com')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no admin left.*\n.*somebody else/),
    });
    expect(await ada('orgs', 'members', 'add', 'umbrella', 'bob@example.com', '--role', 'viewer')).toMatchObject({ code: 1 });
    expect(await ada('orgs', 'members', 'remove', 'umbrella', NOBODY)).toMatchObject({ code: 0 });
    expect(await ada('orgs', 'members', 'remove', 'umbrella', NOBODY)).toMatchObject({ code: 4 });
    expect(await as(keys.eve!, 'orgs', 'members', 'add', 'umbrella', 'eve@example.com')).toMatchObject({ code: 4 });
    expect(json<Items<unknown>>(await ada('orgs', 'members', 'list', 'umbrella', '--json')).items).toMatchObject([
      { email: 'bob@example.com', role: 'admin' },
    ]);
  });

  it('with devices are deleted when it is said where these go', async () => {
    expect(await ada('orgs', 'create', 'gone')).toMatchObject({ code: 0 });
    await enrolRawDevice(api, { name: 'moving', owner: 'org:gone' });
    expect(await ada('orgs', 'delete', 'gone')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has a device') });
    expect(await ada('orgs', 'delete', 'gone', '--devices-to', 'org:never')).toMatchObject({ code: 4 });
    expect(await ada('orgs', 'delete', 'gone', '--devices-to', 'org:umbrella')).toMatchObject({ code: 0 });
    expect(json(await ada('devices', 'show', 'moving', '--json'))).toMatchObject({ owner: 'org:umbrella' });
    expect(await ada('orgs', 'show', 'gone')).toMatchObject({ code: 4 });
    expect(await ada('orgs', 'create', 'gone', '--adopt')).toMatchObject({ code: 4, stderr: expect.stringContaining('not given again') });
  });
});

describe('devices', () => {
  const BOB = 'user:bob@example.com';

  it('are shared within limits and taken back', async () => {
    expect(await bob('devices', 'show', 'pi')).toMatchObject({ code: 4 });
    expect(await ada('devices', 'share', 'pi', BOB, '--role', 'viewer', '--stream', 'exec', '--until', '8h')).toMatchObject({ code: 0 });
    expect((await bob('devices', 'show', 'pi')).stdout).toMatch(/^your role +viewer$/m);
    const table = (await ada('devices', 'access', 'pi')).stdout;
    expect(table).toMatch(/^org:acme +owner +all/m);
    expect(table).toMatch(/^user:bob@example\.com +viewer +exec +\d{4}-\S+Z /m);
    expect(await bob('devices', 'share', 'pi', 'user:eve@example.com')).toMatchObject({ code: 3 });
    expect(await bob('devices', 'access', 'pi')).toMatchObject({ code: 3 });
    const access = json<{ shares: { role: string }[] }>(await ada('devices', 'share', 'pi', BOB, '--role', 'admin', '--json'));
    expect(access.shares).toMatchObject([{ scope: BOB, role: 'admin', streams: null, until: null }]);
    expect(await ada('devices', 'unshare', 'pi', BOB)).toMatchObject({ code: 0 });
    expect(await bob('devices', 'show', 'pi')).toMatchObject({ code: 4 });
    expect(await ada('devices', 'unshare', 'pi', BOB)).toMatchObject({ code: 4, stderr: expect.stringContaining('not shared with') });
  });

  it.each([
    ['until a time that is over', ['pi', BOB, '--until', '2020-01-01T00:00:00Z'], 2, 'over'],
    ['to their owner', ['pi', 'org:acme'], 2, 'owns the device'],
    ['to an organisation that was deleted', ['pi', 'org:gone'], 4, 'deleted'],
    ['for a kind of stream with a strange name', ['pi', BOB, '--stream', 'EXEC!'], 2, 'kind of stream'],
    ['where there is none', ['po', BOB], 4, 'No device'],
  ])('are not shared %s', async (_what, args, code, part) => {
    expect(await ada('devices', 'share', ...args)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(part) });
  });

  it('go to another owner without their shares', async () => {
    await enrolRawDevice(api, { name: 'attic', owner: 'org:acme' });
    expect(await ada('devices', 'share', 'attic', BOB, '--role', 'admin')).toMatchObject({ code: 0 });
    expect(await bob('devices', 'transfer', 'attic', BOB)).toMatchObject({ code: 3 });
    expect(await ada('devices', 'transfer', 'attic', 'org:never')).toMatchObject({ code: 4 });
    expect(await ada('devices', 'transfer', 'attic', 'org:umbrella')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('belongs to org:umbrella now'),
    });
    expect(json(await ada('devices', 'access', 'attic', '--json'))).toEqual({ owner: 'org:umbrella', shares: [] });
    expect(await bob('devices', 'show', 'attic')).toMatchObject({ code: 4 });
  });
});

describe('keys', () => {
  it('are limited, used, listed and revoked', async () => {
    const created = await ada('keys', 'create', '--name', 'ci', '--scope', 'org:acme=viewer', '--device', 'pi', '--expires', '90d');
    expect(created).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^twl_u_[0-9a-f]{16}_[0-9a-f]{64}\n$/) });
    const key = created.stdout.trim();
    expect(json<Items<unknown>>(await as(key, 'devices', 'list', '--json')).items).toMatchObject([{ name: 'pi', role: 'viewer' }]);
    expect(await as(key, 'keys', 'create')).toMatchObject({ code: 3, stdout: '' });
    const listed = (await ada('keys', 'list', '--all')).stdout;
    expect(listed).toMatch(/ ci +user +valid .* in 89d +org:acme=viewer, devices /);
    expect(listed).not.toContain(key.slice(-64));
    expect(await bob('keys', 'revoke', key)).toMatchObject({ code: 4 });
    expect(await ada('keys', 'revoke', key.slice(0, 22), '--reason', 'leaked')).toMatchObject({ code: 0 });
    expect(await as(key, 'whoami')).toMatchObject({ code: 3, stderr: expect.stringContaining('revoked') });
    expect((await ada('keys', 'list', '--all')).stdout).not.toMatch(/ ci /);
    expect((await ada('keys', 'list', '--all', '--revoked')).stdout).toMatch(/ ci +user +revoked /);
    expect(await ada('keys', 'revoke', key.slice(6, 22))).toMatchObject({ code: 1 });
  });

  it('enrol as many devices as they may', async () => {
    const { key } = json<{ key: string }>(await ada('keys', 'create', '--enrol', 'org:acme', '--count', '1', '--json'));
    expect(await requestEnrolment(api, createIdentity(), { name: 'first', key })).toMatchObject({ state: 'approved', owner: 'org:acme' });
    await expect(requestEnrolment(api, createIdentity(), { name: 'second', key })).rejects.toThrow('key_spent');
    expect(await bob('keys', 'create', '--enrol', 'org:acme')).toMatchObject({ code: 3, stdout: '' });
  });

  it('are not made for what is over', async () => {
    expect(await ada('keys', 'create', '--scope', 'org:acme', '--expires', '2020-01-01T00:00:00Z')).toMatchObject({ code: 2, stdout: '' });
    expect(await ada('keys', 'create', '--scope', 'org:gone')).toMatchObject({ code: 4, stdout: '' });
    expect(await ada('keys', 'create', '--scope', 'org:acme', '--device', 'po')).toMatchObject({ code: 4, stdout: '' });
  });
});

describe('users', () => {
  it('are listed, disabled and enabled by platform admins', async () => {
    expect(await bob('whoami')).toMatchObject({ code: 0 });
    expect(await bob('users', 'list')).toMatchObject({ code: 3, stdout: '' });
    const { items } = json<Items<{ id: string }>>(await ada('users', 'list', '--email', 'BOB@example.com', '--json'));
    expect(items).toMatchObject([{ email: 'bob@example.com', disabled: false }]);
    expect(await ada('users', 'disable', 'bob@example.com', '--reason', 'left us')).toMatchObject({
      code: 0,
      stdout: `disabled bob@example.com (${items[0]!.id})\n`,
    });
    expect(await bob('whoami')).toMatchObject({ code: 3, stderr: expect.stringContaining('disabled') });
    expect((await ada('users', 'list', '--disabled')).stdout).toMatch(/^bob@example\.com +bob@example\.com +disabled /m);
    expect(await as(keys.eve!, 'whoami')).toMatchObject({ code: 0 });
    expect(await ada('users', 'enable', items[0]!.id)).toMatchObject({ code: 0 });
    expect(await bob('whoami')).toMatchObject({ code: 0 });
  });

  it('who are not known, or are oneself, are not disabled', async () => {
    expect(await ada('users', 'disable', NOBODY)).toMatchObject({ code: 4, stdout: '' });
    expect(await ada('users', 'disable', 'https://id.example.com|nobody/at:all')).toMatchObject({ code: 4, stdout: '' });
    const { id } = json<{ id: string }>(await ada('whoami', '--json'));
    expect(await ada('users', 'disable', id)).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('yourself') });
  });
});
