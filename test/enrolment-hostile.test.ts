import type { DeviceView, ListView, RegistrationView } from '@towline/contract';
import { createId, type DeviceId, signText } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  claimBody,
  createIdentity,
  type EnrolledRawDevice,
  enrolRawDevice,
  linkDevice,
  registrationBody,
  requestEnrolment,
} from './support/raw-device.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

const OWNER = 'org:acme';
let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
});
afterAll(() => system[Symbol.asyncDispose]());

/** Limits go by address: each case calls from one of its own. */
let addresses = 0;
const newApi = (): RelayApi => openApi(relay, `127.1.0.${(addresses += 1)}`);
const asAdmin = (api: RelayApi, method: string, path: string) => api.call(method, path, { key: api.relay.adminKey });
const pendingFor = async (api: RelayApi, id: DeviceId) => {
  const { items } = bodyOf<ListView<RegistrationView>>(await asAdmin(api, 'GET', '/v1/registrations'));
  return items.filter(({ device_id }) => device_id === id);
};

const countsOf = (codes: readonly string[]) =>
  Object.fromEntries(codes.map((code) => [code, codes.filter((other) => other === code).length]));

/** After the first link the request is gone, so that what refuses from then on is the device alone. */
const expectSettled = ({ call }: RelayApi, { identity, request }: Pick<EnrolledRawDevice, 'identity' | 'request'>) =>
  eventually(async () => {
    const late = await call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
    return late.status === 404 && late.code === 'not_found';
  }, 'a claim after the first link is refused');

const enrolAndLink = async (api: RelayApi, name: string): Promise<EnrolledRawDevice> => {
  const device = await enrolRawDevice(api, { name, owner: OWNER });
  await using _linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
  await expectSettled(api, device);
  return device;
};

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
    await expectSettled(api, { identity, request });
  });

  it('that comes while the device links does the device no harm', async () => {
    using api = newApi();
    for (let round = 0; round < 10; round += 1) {
      const { identity, request, apiKey } = await enrolRawDevice(api, { name: `round-${round}`, owner: OWNER });
      await using linked = await linkDevice(relay, apiKey, { identity });
      expect(linked.answer).toMatchObject({ type: 'welcome' });
      const claim = () => api.call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
      await Promise.all(Array.from({ length: 5 }, claim));
      expect(await asAdmin(api, 'GET', `/v1/devices/${identity.id}`)).toMatchObject({ status: 200, body: { online: true } });
    }
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
    const { identity } = await enrolAndLink(api, 'taken');
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
    const { identity } = await enrolAndLink(api, 'settled');
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
