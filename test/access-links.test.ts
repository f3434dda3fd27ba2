import type { AuditView, DeviceView, ListView } from '@towline/contract';
import { createId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey, type TestKey } from './support/keys.ts';
import { createPrincipals, type Keys, OWNERS, PRINCIPAL_NAMES, PRINCIPALS, type PrincipalName } from './support/principals.ts';
import { linkClient, type RawClient } from './support/raw-client.ts';
import { type EnrolledRawDevice, enrolRawDevice, linkDevice, type RawDeviceLink } from './support/raw-device.ts';
import { inTime } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Access ends within a second (row C8); the machine that runs this may be busy. */
const SOON_MS = 3_000;
const SHELL = Object.freeze({ protocol: '/shell/1', body: { cols: 80, rows: 24, term: 'xterm' } });

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let keys: Keys;
let enrolled: Record<'acme' | 'alice', EnrolledRawDevice>;
let linked: Record<'acme' | 'alice', RawDeviceLink>;
let runtime: TestDevice;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
  enrolled = {
    acme: await enrolRawDevice(api, { name: 'acme-pi', owner: OWNERS.acme }),
    alice: await enrolRawDevice(api, { name: 'alice-pi', owner: OWNERS.alice }),
  };
  keys = await createPrincipals(system, relay, enrolled.acme);
  const link = ({ apiKey, identity }: EnrolledRawDevice) => linkDevice(relay, apiKey, { identity });
  linked = { acme: await link(enrolled.acme), alice: await link(enrolled.alice) };
  runtime = system.startDevice(relay, { name: 'real-pi', org: 'acme', env: { TOWLINE_API_KEY: keys.enrolment } });
  await runtime.event('online');
});
afterAll(async () => {
  // First: it ends every process, also when the rest was never made.
  await system[Symbol.asyncDispose]();
  for (const link of Object.values(linked)) await link[Symbol.asyncDispose]();
  api[Symbol.dispose]();
});

const linkAs = (principal: PrincipalName) => linkClient(relay, keys[principal]!);
const refusalOf = (key: string) =>
  linkClient(relay, key).then(
    () => 'linked',
    (error: { code: string }) => error.code,
  );
const exec = (principal: PrincipalName | TestKey, ...argv: string[]) =>
  system.towline(relay, ['real-pi', 'exec', '--', ...argv], { key: typeof principal === 'string' ? keys[principal]! : principal.key });

describe('a link of a client', () => {
  it('is made for users only', async () => {
    const answers: Record<string, string> = {};
    for (const principal of PRINCIPAL_NAMES.filter((name) => name !== 'nobody')) answers[principal] = await refusalOf(keys[principal]!);
    const due = (principal: PrincipalName) => {
      const { is } = PRINCIPALS[principal];
      if (is === 'user') return 'linked';
      return is === 'device' || is === 'enrolment' ? 'key_wrong_kind' : is;
    };
    expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((name) => [name, due(name as PrincipalName)])));
  });
});

describe('an opening', () => {
  const users = PRINCIPAL_NAMES.filter((name) => PRINCIPALS[name].is === 'user');
  const due = (principal: PrincipalName, owner: 'acme' | 'alice') => {
    const held = PRINCIPALS[principal][owner];
    if (held === null) return 'not_found';
    return held === 'viewer' ? 'forbidden' : 'accepted';
  };

  it.each(users)('by %s is judged by their role on the device, and nothing else reaches it', async (principal) => {
    await using client = await linkAs(principal);
    for (const owner of ['acme', 'alice'] as const) {
      const before = linked[owner].openings.length;
      const { id } = enrolled[owner].identity;
      const answers = [await client.open(id), await client.open(id, SHELL), await client.open(`${owner}-pi`)];
      const expected = due(principal, owner);
      expect(answers).toEqual([expected, expected, expected]);
      expect(linked[owner].openings.slice(before).map(({ protocol }) => protocol)).toEqual(
        expected === 'accepted' ? ['/exec/1', '/shell/1', '/exec/1'] : [],
      );
    }
    expect(await client.open(createId())).toBe('not_found');
  });

  it('of a second, forbidden stream on an allowed link is refused, and the allowed one goes on', async () => {
    await using client = await linkAs('org operator');
    const { acme, alice } = enrolled;
    const before = { acme: linked.acme.openings.length, alice: linked.alice.openings.length };
    expect(await client.open(acme.identity.id)).toBe('accepted');
    const forbidden = await Promise.all([
      client.open(alice.identity.id),
      client.open('alice-pi'),
      client.open(alice.identity.id, SHELL),
      client.open(acme.identity.id, { protocol: '/control/2' }),
      client.open(acme.identity.id, { body: { argv: [] } }),
      client.open(acme.identity.id, { body: { argv: ['true'], stdin: false, device: alice.identity.id } }),
    ]);
    expect(forbidden).toEqual([
      ...['not_found', 'not_found', 'not_found', 'stream_not_offered'],
      ...['invalid_request', 'invalid_request'],
    ]);
    expect(await client.open(acme.identity.id)).toBe('accepted');
    expect(linked.acme.openings).toHaveLength(before.acme + 2);
    expect(linked.alice.openings).toHaveLength(before.alice);
    const records = bodyOf<ListView<AuditView>>(await api.call('GET', '/v1/audit?action=session.refused&limit=6', { key: relay.adminKey }));
    expect(records.items.map(({ session }) => session).toSorted()).toEqual(client.sessions.slice(1, 7).toSorted());
    expect(records.items.map(({ actor }) => actor.email)).toEqual(Array.from({ length: 6 }, () => 'otto@example.com'));
  });

  it('by the command line is refused with the reason and 255', async () => {
    const [operator, viewer, stranger] = await Promise.all([
      exec('org operator', 'echo', 'served'),
      exec('org viewer', 'echo', 'never'),
      exec('stranger', 'echo', 'never'),
    ]);
    expect(operator).toMatchObject({ code: 0, stdout: 'served\n' });
    expect(viewer).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('needs the role operator on real-pi') });
    expect(stranger).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('No device “real-pi”') });
  });
});

describe('a key limited by --stream', () => {
  it.each([
    ['exec', 'accepted', 'forbidden'],
    ['shell', 'forbidden', 'accepted'],
  ])('to %s opens only that, whatever role it has', async (stream, forExec, forShell) => {
    const made = await Promise.all([
      createKey(system, relay, ['--email', 'lim@example.com', '--scope', OWNERS.acme, '--role', 'admin', '--stream', stream]),
      createKey(system, relay, ['--admin', '--stream', stream]),
    ]);
    for (const { key } of made) {
      await using client = await linkClient(relay, key);
      const { id } = enrolled.acme.identity;
      expect([await client.open(id), await client.open(id, SHELL), await client.open(id)]).toEqual([forExec, forShell, forExec]);
    }
  });
});

describe('a key that is revoked beside the running relay', () => {
  const createOperator = (...args: string[]) =>
    createKey(system, relay, ['--email', 'rob@example.com', '--scope', OWNERS.acme, '--role', 'operator', ...args]);

  it('ends its links and sessions within a second, with the reason, and those of no other', async () => {
    const key = await createOperator();
    const mark = `300.${process.pid}`;
    await using client = await linkClient(relay, key.key);
    await using bystander = await linkAs('org operator');
    expect(await client.open(enrolled.acme.identity.id)).toBe('accepted');
    const session = system.startTowline(relay, ['real-pi', 'exec', '--', 'sh', '-c', `echo up; exec sleep ${mark}`], { key: key.key });
    await session.saw(/up/);

    const { code } = await system.rescue(relay, ['keys', 'revoke', key.id, '--reason', 'left the company']);
    const from = performance.now();
    expect(code).toBe(0);
    expect(await client.link.closed).toMatchObject({
      code: 'key_revoked',
      by: 'peer',
      message: expect.stringContaining('left the company'),
    });
    const ended = await session.finished;
    expect(performance.now() - from).toBeLessThan(SOON_MS);
    expect(ended).toMatchObject({ code: 255, stderr: expect.stringContaining('left the company') });
    await eventually(async () => (await exec('admin', 'pgrep', '-fx', `sleep ${mark}`)).code === 1, 'its command on the device is gone');
    expect(await refusalOf(key.key)).toBe('key_revoked');
    expect(await bystander.open(enrolled.acme.identity.id)).toBe('accepted');
  });

  it.each(['tls', 'quic'])('ends the link of a device over %s, whose runtime says why, forgets the key and stops', async (transport) => {
    const name = `cut-off-${transport}`;
    const args = ['--transport', transport];
    const device = system.startDevice(relay, { name, org: 'acme', args, env: { TOWLINE_API_KEY: keys.enrolment } });
    await device.event('online');
    const { stdout } = await system.rescue(relay, ['keys', 'list', '--json']);
    const { items } = JSON.parse(stdout) as { items: { id: string; name: string; kind: string }[] };
    const { id } = items.find((key) => key.kind === 'device' && key.name === name)!;
    await system.rescue(relay, ['keys', 'revoke', id, '--reason', 'lost']);
    const from = performance.now();
    const stopped = await device.event('stopped');
    expect(performance.now() - from).toBeLessThan(SOON_MS);
    expect(stopped).toMatchObject({ code: 'key_revoked', message: expect.stringContaining('lost') });
    expect((await inTime(device.program.finished, 'nothing keeps the runtime alive', SOON_MS)).code).toBe(3);
    expect(bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey })).online).toBe(false);
  });

  it('cannot be gone around by one that is just linking', async () => {
    const key = await createOperator();
    const clients: RawClient[] = [];
    const revoking = system.rescue(relay, ['keys', 'revoke', key.id]);
    let over = false;
    void revoking.then(() => (over = true));
    while (!over) {
      const client = await linkClient(relay, key.key).catch(() => null);
      if (client !== null) clients.push(client);
    }
    expect(clients.length, 'some were linked before').toBeGreaterThan(0);
    for (const { link } of clients) expect((await link.closed).code).toBe('key_revoked');
    expect(await refusalOf(key.key)).toBe('key_revoked');
  });
});

describe('a key that expires during a link', () => {
  it('ends it within a second, and the reason is told', async () => {
    const key = await createKey(system, relay, ['--email', 'eve@example.com', '--scope', OWNERS.acme, '--expires', '8s']);
    const { expires_at } = bodyOf<{ expires_at: string }>(await api.call('GET', '/v1/me', { key: key.key }));
    await using client = await linkClient(relay, key.key);
    expect(await client.open(enrolled.acme.identity.id)).toBe('accepted');
    const session = system.startTowline(relay, ['real-pi', 'exec', '--', 'sh', '-c', 'echo up; exec sleep 300'], { key: key.key });
    await session.saw(/up/);
    const end = await client.link.closed;
    const lateMs = Date.now() - Date.parse(expires_at);
    expect(end).toMatchObject({ code: 'key_expired', by: 'peer' });
    expect(lateMs).toBeGreaterThan(-100);
    expect(lateMs).toBeLessThan(SOON_MS);
    expect(await session.finished).toMatchObject({ code: 255, stderr: expect.stringContaining('expired') });
    expect(await refusalOf(key.key)).toBe('key_expired');
  });
});
