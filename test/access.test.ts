import { type AuditView, type DeviceView, type ListView, type RegistrationView, roleIncludes } from '@towline/contract';
import { createId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createPrincipals,
  type Keys,
  OWNERS,
  type OwnerName,
  PRINCIPAL_NAMES,
  PRINCIPALS,
  type PrincipalName,
} from './support/principals.ts';
import { linkClient } from './support/raw-client.ts';
import { createIdentity, enrolRawDevice, linkDevice, requestEnrolment } from './support/raw-device.ts';
import { type ApiAnswer, bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { ROUTES, type RouteRow } from './support/route-table.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

/** What is asked for: an object of each owner, and one that does not exist. */
const TARGETS = Object.freeze(['acme', 'alice', 'absent'] as const);
type Target = (typeof TARGETS)[number];
type Objects = Readonly<Record<Target, string>>;
/** Who opened the session on the device of each owner. */
const OPENERS = Object.freeze({ acme: 'org operator', alice: 'alice' } as const satisfies Record<OwnerName, PrincipalName>);

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let keys: Keys;
let objects: Readonly<Record<NonNullable<RouteRow['object']>, Objects>>;
const links: AsyncDisposable[] = [];
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
  const enrolled = {
    acme: await enrolRawDevice(api, { name: 'acme-pi', owner: OWNERS.acme }),
    alice: await enrolRawDevice(api, { name: 'alice-pi', owner: OWNERS.alice }),
  };
  keys = await createPrincipals(system, relay, enrolled.acme);
  const online = async (owner: OwnerName) => {
    const { apiKey, identity } = enrolled[owner];
    const client = await linkClient(relay, keys[OPENERS[owner]]!);
    links.push(await linkDevice(relay, apiKey, { identity }), client);
    expect(await client.open(identity.id)).toBe('accepted');
    return client.sessions[0]!;
  };
  objects = {
    device: { acme: enrolled.acme.identity.id, alice: enrolled.alice.identity.id, absent: createId() },
    registration: { acme: await askFor('acme'), alice: await askFor('alice'), absent: createId() },
    session: { acme: await online('acme'), alice: await online('alice'), absent: createId() },
  };
});
afterAll(async () => {
  // First: it ends every process, also when the rest was never made.
  await system[Symbol.asyncDispose]();
  for (const link of links) await link[Symbol.asyncDispose]();
  api[Symbol.dispose]();
});

const askFor = async (owner: OwnerName) => (await requestEnrolment(api, createIdentity(), { name: 'waits', owner: OWNERS[owner] })).id;
const short = ({ status, code }: ApiAnswer) => (code === undefined ? String(status) : `${status} ${code}`);
const callRoute = (route: string, { body }: RouteRow, { principal, id }: { principal: PrincipalName; id?: string | undefined }) => {
  const [method = '', path = ''] = route.split(' ');
  return api.call(method, path.replace(/\{.*?\}/, id ?? ''), { key: keys[principal], ...(body === undefined ? {} : { body: body() }) });
};

/** What the credential alone is answered, where that settles it. */
function expectedOfCredential({ takes, allowed }: RouteRow, principal: PrincipalName): string | null {
  const { is } = PRINCIPALS[principal];
  if (takes === 'anyone' || (takes === 'enrolment' && principal === 'nobody')) return allowed;
  if (is !== 'user' && is !== 'device' && is !== 'enrolment') return `401 ${is}`;
  return is === takes ? null : '401 key_wrong_kind';
}

function isAllowed({ needs }: RouteRow, principal: PrincipalName, target: OwnerName): boolean {
  const held = PRINCIPALS[principal][target];
  if (needs === undefined || held === null) return false;
  return needs === 'opener' ? held === 'admin' || OPENERS[target] === principal : roleIncludes(held, needs);
}

function expected(row: RouteRow, principal: PrincipalName, target: Target): string {
  if (row.unsigned !== undefined) return target === 'absent' ? '404 not_found' : row.unsigned;
  const refused = expectedOfCredential(row, principal);
  if (refused !== null) return refused;
  if (target === 'absent' || PRINCIPALS[principal][target] === null) return '404 not_found';
  return isAllowed(row, principal, target) ? row.allowed : '403 forbidden';
}

const rows = Object.entries(ROUTES);
const aboutObjects = rows.filter(([, { object }]) => object !== undefined);
const aboutNone = rows.filter(([, { object }]) => object === undefined);

describe('every route of one’s devices', () => {
  it('is one that there is; that none is left out is for test/matrix', async () => {
    const { paths } = bodyOf<{ paths: Record<string, Record<string, unknown>> }>(await api.call('GET', '/openapi.json'));
    const served = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(Object.keys(ROUTES).filter((route) => !served.includes(route))).toEqual([]);
  });

  it.each(aboutNone)('%s lets in whom it should', async (route, row) => {
    const answers: Record<string, string> = {};
    for (const principal of PRINCIPAL_NAMES) answers[principal] = short(await callRoute(route, row, { principal }));
    expect(answers).toEqual(
      Object.fromEntries(PRINCIPAL_NAMES.map((principal) => [principal, expectedOfCredential(row, principal) ?? row.allowed])),
    );
  });

  it.each(aboutObjects)('%s lets everybody do what they may with their own, and nothing with that of others', async (route, row) => {
    const answers: Record<string, string> = {};
    const due: Record<string, string> = {};
    for (const principal of PRINCIPAL_NAMES) {
      for (const target of TARGETS) {
        const cell = `${principal}, ${target}`;
        due[cell] = expected(row, principal, target);
        const shared = objects[row.object!][target];
        const own = row.consumes === true && target !== 'absent' && isAllowed(row, principal, target) && due[cell] === row.allowed;
        const id = own ? await fresh(row, target) : shared;
        answers[cell] = short(await callRoute(route, row, { principal, id }));
      }
    }
    expect(answers).toEqual(due);
    await expectUntouched();
  });

  it.each(aboutObjects.filter(([, { takes }]) => takes === 'user'))(
    '%s answers of what is not yours as of what does not exist',
    async (route, row) => {
      const { absent, ...others } = objects[row.object!];
      const strip = ({ status, body, headers: { date: _date, ...headers } }: ApiAnswer, id: string) =>
        JSON.stringify({ status, body, headers }).replaceAll(id, 'ID');
      for (const principal of PRINCIPAL_NAMES.filter((name) => PRINCIPALS[name].is === 'user')) {
        const nothing = strip(await callRoute(route, row, { principal, id: absent }), absent);
        for (const [owner, id] of Object.entries(others)) {
          if (PRINCIPALS[principal][owner as OwnerName] !== null) continue;
          expect(strip(await callRoute(route, row, { principal, id }), id)).toBe(nothing);
        }
      }
    },
  );

  it.each(rows.filter(([route]) => route.startsWith('GET /v1/')))('%s is as closed to HEAD', async (route, row) => {
    for (const principal of ['nobody', 'stranger', 'device', 'a revoked key'] as const) {
      const id = row.object === undefined ? undefined : objects[row.object].acme;
      const [get, head] = await Promise.all([
        callRoute(route, row, { principal, id }),
        callRoute(route.replace('GET', 'HEAD'), row, { principal, id }),
      ]);
      expect(head.status, principal).toBe(get.status);
    }
  });
});

/** An object of the same kind that a route may use up. */
async function fresh(row: RouteRow, owner: OwnerName): Promise<string> {
  if (row.object === 'registration') return askFor(owner);
  return (await enrolRawDevice(api, { name: 'spare', owner: OWNERS[owner] })).identity.id;
}

/** The shared objects are all there, whoever tried what. */
async function expectUntouched(): Promise<void> {
  for (const owner of ['acme', 'alice'] as const) {
    const device = bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${objects.device[owner]}`, { key: relay.adminKey }));
    expect(device).toMatchObject({ owner: OWNERS[owner], online: true });
    const pending = bodyOf<ListView<RegistrationView>>(await api.call('GET', '/v1/registrations', { key: relay.adminKey }));
    expect(pending.items.map(({ id }) => id)).toContain(objects.registration[owner]);
  }
}

describe('a list', () => {
  const users = PRINCIPAL_NAMES.filter((name) => PRINCIPALS[name].is === 'user');
  const list = async <Item>(principal: PrincipalName, path: string) =>
    bodyOf<ListView<Item>>(await api.call('GET', path, { key: keys[principal] })).items;
  const owned = (principal: PrincipalName, least: 'viewer' | 'admin') =>
    (['acme', 'alice'] as const).filter((owner) => {
      const held = PRINCIPALS[principal][owner];
      return held !== null && roleIncludes(held, least);
    });

  it.each(users)('of devices and of requests shows %s what they hold a role on, and nothing else', async (principal) => {
    const due = owned(principal, 'viewer');
    const owners = new Set<string>(due.map((owner) => OWNERS[owner]));
    for (const path of ['/v1/devices', '/v1/registrations']) {
      const items = await list<DeviceView | RegistrationView>(principal, path);
      expect(new Set(items.map(({ owner }) => owner)), path).toEqual(owners);
    }
    const ids = (await list<DeviceView>(principal, '/v1/devices')).map(({ id }) => id);
    for (const owner of due) expect(ids).toContain(objects.device[owner]);
  });

  it.each(users)('of audit records shows %s those of the owners they are admin of', async (principal) => {
    const due = owned(principal, 'admin').map((owner) => objects.device[owner]);
    const items = await list<AuditView>(principal, '/v1/audit?limit=500');
    const seen = new Set(items.map(({ device }) => device?.id));
    for (const owner of ['acme', 'alice'] as const) {
      expect(seen.has(objects.device[owner]), owner).toBe(due.includes(objects.device[owner]));
    }
  });

  it('of somebody else is as empty as of nobody', async () => {
    for (const path of ['/v1/devices?scope=', '/v1/audit?device=']) {
      const [theirs, nobodys] = path.endsWith('scope=') ? [OWNERS.acme, 'org:nowhere'] : [objects.device.acme, objects.device.absent];
      expect(await list('stranger', path + theirs)).toEqual([]);
      expect(await list('stranger', path + nobodys)).toEqual([]);
    }
  });

  it('does not open with the cursor of somebody who sees more', async () => {
    const first = bodyOf<ListView<DeviceView>>(await api.call('GET', '/v1/devices?limit=1', { key: keys.admin }));
    const answer = await api.call('GET', `/v1/devices?limit=500&cursor=${encodeURIComponent(first.next!)}`, { key: keys.stranger });
    expect((answer.body as Partial<ListView<DeviceView>>).items ?? []).toEqual([]);
  });
});

describe('a device of others', () => {
  it('is not found by name or by the beginning of its id', async () => {
    const { name } = bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${objects.device.acme}`, { key: keys.admin }));
    const prefix = objects.device.acme.slice(0, 8);
    for (const named of [name, prefix]) {
      expect(short(await api.call('GET', `/v1/devices/${named}`, { key: keys['org viewer'] })), named).toBe('200');
      expect(short(await api.call('GET', `/v1/devices/${named}`, { key: keys.stranger })), named).toBe('404 not_found');
    }
  });
});

describe('a credential', () => {
  it('counts in each form it may have, and not twice in one request', async () => {
    const key = keys.alice!;
    const me = (headers: Record<string, string>) => api.call('GET', '/v1/me', { headers });
    expect((await me({ authorization: `Bearer ${key}` })).body).toMatchObject({ email: 'alice@example.com' });
    expect(short(await me({ authorization: `Bearer ${key}`, 'x-api-key': keys.admin! }))).toBe('400 invalid_request');
    expect(short(await me({ authorization: `Basic ${Buffer.from(`alice:${key}`).toString('base64')}` }))).toBe('401 unauthenticated');
    expect(short(await me({ authorization: key }))).toBe('400 invalid_request');
    expect(short(await me({ 'x-api-key': key.replace('twl_u_', 'twl_d_') }))).toBe('401 unauthenticated');
    expect(short(await me({ 'x-api-key': '' }))).toBe('401 unauthenticated');
    expect(short(await me({ 'x-api-key': `${key}0` }))).toBe('401 unauthenticated');
    expect(short(await me({ 'x-api-key': `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` }))).toBe('401 unauthenticated');
  });
});
