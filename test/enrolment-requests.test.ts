import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListView, RegistrationView } from '@towline/contract';
import { createId, type DeviceId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBody, createIdentity, FACTS, registrationBody, requestEnrolment } from './support/raw-device.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

const OWNER = 'org:acme';
let system: TestSystem;
let relay: TestRelay;
let strict: TestRelay;
beforeAll(async () => {
  system = createSystem();
  const config = join(system.dir, 'relay.yaml');
  writeFileSync(
    config,
    `data: ${join(system.dir, 'relay-configured')}\nenrolment: { expiry: 6s, max_pending_per_owner: 3, max_pending_per_address: 5 }\n`,
  );
  [relay, strict] = await Promise.all([system.startRelay(), system.startRelay({ config })]);
});
afterAll(() => system[Symbol.asyncDispose]());

/** Limits go by address: each case calls from one of its own. */
let addresses = 0;
const newApi = (of: TestRelay = relay): RelayApi => openApi(of, `127.1.0.${(addresses += 1)}`);
const asAdmin = (api: RelayApi, method: string, path: string) => api.call(method, path, { key: api.relay.adminKey });
const pendingFor = async (api: RelayApi, id: DeviceId) => {
  const { items } = bodyOf<ListView<RegistrationView>>(await asAdmin(api, 'GET', '/v1/registrations'));
  return items.filter(({ device_id }) => device_id === id);
};

const countsOf = (codes: readonly string[]) =>
  Object.fromEntries(codes.map((code) => [code, codes.filter((other) => other === code).length]));

describe('a bad request to enrol', () => {
  const bad = (change: object) => ({ ...registrationBody(createIdentity(), { name: 'bad', owner: OWNER }), ...change });
  const named = (name: string) => registrationBody(createIdentity(), { name, owner: OWNER });
  const owned = (owner: string) => registrationBody(createIdentity(), { name: 'bad', owner });
  it.each<[string, unknown, number, string]>([
    ['a name with a line break', named('pi\nroot'), 400, 'invalid_request'],
    ['a name with an escape sequence', named('pi\u001b[2J'), 400, 'invalid_request'],
    ['a name with a bidirectional override', named('pi\u202Egnp'), 400, 'invalid_request'],
    ['a name that is a command', named('devices'), 400, 'invalid_request'],
    ['a name that is a command in capitals', named('Shell'), 400, 'invalid_request'],
    ['a name that is a path', named('../etc'), 400, 'invalid_request'],
    ['a name with a slash', named('a/b'), 400, 'invalid_request'],
    ['a name with a colon', named('a:b'), 400, 'invalid_request'],
    ['a name that is a dot', named('.'), 400, 'invalid_request'],
    ['a name that begins like an option', named('-rf'), 400, 'invalid_request'],
    ['a name with 64 characters', named('n'.repeat(64)), 400, 'invalid_request'],
    ['a name with 10,000 characters', named('n'.repeat(10_000)), 400, 'invalid_request'],
    ['a name that looks like an id', named('0123456789abcdef0123456789abcdef'), 400, 'invalid_request'],
    ['an empty name', named(''), 400, 'invalid_request'],
    ['a name in another normal form', named('cafe\u0301'), 400, 'invalid_request'],
    ['an owner that is none', owned('acme'), 400, 'invalid_request'],
    ['an owner of another kind', owned('admin:acme'), 400, 'invalid_request'],
    ['an organisation in capitals', owned('org:ACME'), 400, 'invalid_request'],
    ['an e-mail address without @', owned('user:alice'), 400, 'invalid_request'],
    ['no owner', registrationBody(createIdentity(), { name: 'bad' }), 400, 'invalid_request'],
    ['facts that are missing', bad({ facts: undefined }), 400, 'invalid_request'],
    ['a fact that is a number', bad({ facts: { ...FACTS, hostname: 7 } }), 400, 'invalid_request'],
    ['a fact that is too long', bad({ facts: { ...FACTS, hostname: 'h'.repeat(256) } }), 400, 'invalid_request'],
    ['a fact that nobody asked for', bad({ facts: { ...FACTS, serial: '1' } }), 400, 'invalid_request'],
    ['an unknown field', bad({ admin: true }), 400, 'invalid_request'],
    ['an id that is short', bad({ device_id: 'abc' }), 400, 'invalid_request'],
    ['an id in capitals', bad({ device_id: 'A'.repeat(32) }), 400, 'invalid_request'],
    ['a public key of 31 bytes', bad({ public_key: randomBytes(31).toString('base64url') }), 400, 'invalid_request'],
    ['a public key that is not base64url', bad({ public_key: '+/=' }), 400, 'invalid_request'],
    ['a signature over another name', { ...named('one'), name: 'two' }, 401, 'proof_invalid'],
    ['a signature over another owner', { ...owned('org:one'), owner: 'org:two' }, 401, 'proof_invalid'],
    ['a signature by another key', bad({ signature: named('bad').signature }), 401, 'proof_invalid'],
    ['a body that is a list', [], 400, 'invalid_request'],
    ['a body that is not JSON', '{"device_id":', 400, 'invalid_request'],
    ['a body that would change a prototype', '{"__proto__":{"admin":true}}', 400, 'invalid_request'],
    ['a body of a megabyte', bad({ facts: { ...FACTS, hostname: 'h'.repeat(1024 * 1024) } }), 413, 'too_large'],
  ])('is refused: %s', async (_what, body, status, code) => {
    using api = newApi();
    const answer = await api.call('POST', '/v1/registrations', { body });
    expect({ status: answer.status, code: answer.code }).toEqual({ status, code });
    expect(Object.keys((answer.body as { error: object }).error)).toEqual(['code', 'message', 'hint']);
  });

  it('cannot write on the screen of the approver: what a device says of itself is shown escaped', async () => {
    using api = newApi();
    const facts = { ...FACTS, hostname: '\u001b[2Jwiped\nfake line' };
    const body = { ...registrationBody(createIdentity(), { name: 'painter', owner: OWNER }), facts };
    expect((await api.call('POST', '/v1/registrations', { body })).status).toBe(201);
    const { stdout } = await system.towline(relay, ['devices', 'list', '--pending']);
    expect(stdout).toContain('wiped');
    expect(stdout).not.toContain('\u001b');
    expect(stdout.split('\n').filter((line) => line.startsWith('fake'))).toEqual([]);
  });

  it('leaves nothing behind', async () => {
    using api = newApi();
    const { items } = bodyOf<ListView<RegistrationView>>(await asAdmin(api, 'GET', '/v1/registrations?limit=500'));
    expect(items.filter(({ name }) => name === 'bad')).toEqual([]);
  });
});

describe('requests that wait', () => {
  it('are bounded for each owner, also when they come at once', async () => {
    const calls = Array.from({ length: 12 }, async () => {
      using api = newApi(strict);
      return await api.call('POST', '/v1/registrations', { body: registrationBody(createIdentity(), { name: 'many', owner: 'org:many' }) });
    });
    const codes = (await Promise.all(calls)).map(({ code }) => code ?? 'taken');
    expect(countsOf(codes)).toEqual({ taken: 3, registration_limit: 9 });
  });

  it('are bounded for each address, whomever they ask, and another address goes on', async () => {
    using api = newApi(strict);
    using other = newApi(strict);
    const ask = (from: RelayApi, owner: string) =>
      from.call('POST', '/v1/registrations', { body: registrationBody(createIdentity(), { name: 'many', owner }) });
    const codes = (await Promise.all(Array.from({ length: 10 }, (_, at) => ask(api, `org:a-${at}`)))).map(({ code }) => code ?? 'taken');
    expect(countsOf(codes)).toEqual({ taken: 5, registration_limit: 5 });
    expect((await ask(other, 'org:b')).status).toBe(201);
  });

  it('come from one address at a bounded rate', async () => {
    using api = newApi();
    const id = createId();
    const claims = Array.from({ length: 125 }, () =>
      api.call('POST', `/v1/registrations/${id}/claim`, { body: { device_id: id, signature: 'AAAA' } }),
    );
    const answers = await Promise.all(claims);
    expect(countsOf(answers.map(({ code, status }) => `${status} ${code}`))).toEqual({ '404 not_found': 120, '429 rate_limited': 5 });
    expect(answers.find(({ status }) => status === 429)!.headers['retry-after']).toMatch(/^\d+$/);
  });
});

describe.concurrent('when a request expires', () => {
  it('it is neither listed, nor approved, nor claimed any more, and makes room', async () => {
    using api = newApi(strict);
    const identity = createIdentity();
    const request = await requestEnrolment(api, identity, { name: 'late', owner: 'org:late' });
    expect(await pendingFor(api, identity.id)).toHaveLength(1);
    const claim = () => api.call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
    expect((await claim()).body).toMatchObject({ state: 'pending' });
    await eventually(async () => (await claim()).code === 'registration_expired', 'the request expires');
    expect(await pendingFor(api, identity.id)).toEqual([]);
    expect(await asAdmin(api, 'POST', `/v1/registrations/${request.id}/approve`)).toMatchObject({ code: 'registration_expired' });
    expect((await requestEnrolment(api, identity, { name: 'late', owner: 'org:late' })).id).not.toBe(request.id);
  });

  it('one that was approved in time goes on: the device that asks again gets it without another approval', async () => {
    using api = newApi(strict);
    const identity = createIdentity();
    const request = await requestEnrolment(api, identity, { name: 'slow', owner: 'org:slow' });
    bodyOf(await asAdmin(api, 'POST', `/v1/registrations/${request.id}/approve`));
    await eventually(async () => Date.now() > Date.parse(request.expires_at), 'the time to decide is over');
    const again = await requestEnrolment(api, identity, { name: 'slow', owner: 'org:slow' });
    expect(again).toMatchObject({ id: request.id, state: 'approved' });
    const claimed = await api.call('POST', `/v1/registrations/${again.id}/claim`, { body: claimBody(identity, again) });
    expect(claimed.body).toMatchObject({ state: 'approved', device: { id: identity.id } });
  });

  it('its runtime makes a new one, which can be approved', async () => {
    const device = system.startDevice(strict, { name: 'patient', org: 'patient' });
    const first = await device.event('waiting');
    const second = await device.event('waiting');
    expect(second.request).not.toBe(first.request);
    expect(second.fingerprint).toBe(first.fingerprint);
    using api = newApi(strict);
    bodyOf(await asAdmin(api, 'POST', `/v1/registrations/${String(second.request)}/approve`));
    await device.event('online');
  });
});
