import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView, ListView, RegistrationView } from '@towline/contract';
import { createId, type DeviceId, signText } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimBody, createIdentity, enrolRawDevice, FACTS, linkDevice, registrationBody, requestEnrolment } from './support/raw-device.ts';
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

describe('an approval', () => {
  it('or a rejection is given once: of ten deciders at the same moment one wins', async () => {
    using api = newApi();
    const identity = createIdentity();
    const { id } = await requestEnrolment(api, identity, { name: 'raced', owner: OWNER });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, at) => asAdmin(api, 'POST', `/v1/registrations/${id}/${at % 3 === 2 ? 'reject' : 'approve'}`)),
    );
    expect(countsOf(answers.map(({ code, status }) => code ?? String(status)))).toEqual({ 200: 1, registration_decided: 9 });
  });

  it('makes one device, whichever of ten approvals wins', async () => {
    using api = newApi();
    const identity = createIdentity();
    const { id } = await requestEnrolment(api, identity, { name: 'approved', owner: OWNER });
    const answers = await Promise.all(Array.from({ length: 10 }, () => asAdmin(api, 'POST', `/v1/registrations/${id}/approve`)));
    expect(countsOf(answers.map(({ code, status }) => code ?? String(status)))).toEqual({ 200: 1, registration_decided: 9 });
    const { items } = bodyOf<ListView<DeviceView>>(await asAdmin(api, 'GET', '/v1/devices'));
    expect(items.filter((device) => device.id === identity.id)).toHaveLength(1);
    const records = bodyOf<ListView<unknown>>(await asAdmin(api, 'GET', `/v1/audit?device=${identity.id}&action=device.approved`));
    expect(records.items).toHaveLength(1);
  });
});

describe('a claim', () => {
  it('may be repeated until the first link, and each time replaces the key', async () => {
    using api = newApi();
    const { identity, request, apiKey } = await enrolRawDevice(api, { name: 'claims', owner: OWNER });
    const again = await api.call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
    const { api_key: second } = bodyOf<{ api_key: string }>(again);
    expect(second).not.toBe(apiKey);
    await expect(linkDevice(relay, apiKey, { identity })).rejects.toMatchObject({ code: 'key_revoked' });
    await using linked = await linkDevice(relay, second, { identity });
    expect(linked.answer).toMatchObject({ type: 'welcome', device: identity.id, name: 'claims' });
    await eventually(async () => {
      const late = await api.call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
      return late.code === 'not_found' && late.status === 404;
    }, 'a claim after the first link is refused');
  });

  it('is for the holder of the private key alone, before and after the approval', async () => {
    using api = newApi();
    const identity = createIdentity();
    const request = await requestEnrolment(api, identity, { name: 'signed', owner: OWNER });
    const thief = createIdentity(identity.id);
    const other = await requestEnrolment(api, createIdentity(), { name: 'other', owner: OWNER });
    const right = claimBody(identity, request);
    const lies = {
      'another key': claimBody(thief, request),
      'a signature over another request': { ...right, signature: claimBody(identity, other).signature },
      'a signature for another relay': claimBody(identity, { ...request, relay: createId() }),
      'another id': { ...right, device_id: createId() },
      'a changed byte': { ...right, signature: right.signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A')) },
      'a signature over something else': { ...right, signature: signText('hello', identity.privateKey) },
      'a short signature': { ...right, signature: 'AAAA' },
    };
    const claims = async () => {
      const codes: Record<string, string | undefined> = {};
      for (const [lie, body] of Object.entries(lies))
        codes[lie] = (await api.call('POST', `/v1/registrations/${request.id}/claim`, { body })).code;
      return codes;
    };
    const refused = Object.fromEntries(Object.keys(lies).map((lie) => [lie, 'proof_invalid']));
    expect(await claims()).toEqual(refused);
    bodyOf(await asAdmin(api, 'POST', `/v1/registrations/${request.id}/approve`));
    expect(await claims()).toEqual(refused);
    const claimed = await api.call('POST', `/v1/registrations/${request.id}/claim`, { body: right });
    expect(claimed.body).toMatchObject({ state: 'approved', device: { id: identity.id } });
  });
});

describe('a device id', () => {
  it('belongs to the key that came first while the request waits', async () => {
    using api = newApi();
    const first = createIdentity();
    await requestEnrolment(api, first, { name: 'first', owner: OWNER });
    const second = createIdentity(first.id);
    const answer = await api.call('POST', '/v1/registrations', { body: registrationBody(second, { name: 'second', owner: OWNER }) });
    expect(answer).toMatchObject({ status: 409, code: 'device_identity' });
    expect(await pendingFor(api, first.id)).toMatchObject([{ fingerprint: first.fingerprint, name: 'first' }]);
  });

  it('belongs to the key of the enrolled device', async () => {
    using api = newApi();
    const { identity } = await enrolRawDevice(api, { name: 'taken', owner: OWNER });
    const body = registrationBody(createIdentity(identity.id), { name: 'thief', owner: OWNER });
    expect(await api.call('POST', '/v1/registrations', { body })).toMatchObject({ status: 409, code: 'device_identity' });
    expect(await pendingFor(api, identity.id)).toEqual([]);
  });

  it('belongs to one key also when twenty ask at the same moment', async () => {
    using api = newApi();
    const id = createId<DeviceId>();
    const bodies = Array.from({ length: 20 }, (_, at) =>
      registrationBody(createIdentity(id), { name: `twin-${at}`, owner: `org:twin-${at}` }),
    );
    const answers = await Promise.all(bodies.map((body) => api.call('POST', '/v1/registrations', { body })));
    expect(answers.map(({ code }) => code ?? 'taken').toSorted()).toEqual([
      ...Array.from({ length: 19 }, () => 'device_identity'),
      'taken',
    ]);
    expect(await pendingFor(api, id)).toHaveLength(1);
  });

  it('stays with its owner: an enrolled device cannot ask for another', async () => {
    using api = newApi();
    const { identity } = await enrolRawDevice(api, { name: 'settled', owner: OWNER });
    const body = registrationBody(identity, { name: 'settled', owner: 'org:globex' });
    expect(await api.call('POST', '/v1/registrations', { body })).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('has one request: asking for the same again answers the same, asking for another replaces it', async () => {
    using api = newApi();
    const identity = createIdentity();
    const first = await requestEnrolment(api, identity, { name: 'asks', owner: OWNER });
    expect(await requestEnrolment(api, identity, { name: 'asks', owner: OWNER })).toMatchObject({ id: first.id });
    const renamed = await requestEnrolment(api, identity, { name: 'asks-again', owner: OWNER });
    expect(renamed.id).not.toBe(first.id);
    expect(await pendingFor(api, identity.id)).toMatchObject([{ id: renamed.id }]);
  });
});

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
