import { randomBytes } from 'node:crypto';
import type { ByteStream, Device, Link, OpenSession, Principal, Role, Store, StreamHandler } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import {
  clientOpen,
  createApiKeyText,
  createId,
  type OrgId,
  type Scope,
  SECRETS_FEATURE,
  type SessionId,
  toTowlineError,
} from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plugin as apikey } from '../../../plugins/auth-apikey/src/index.ts';
import { plugin as exec } from '../../../plugins/stream-exec/src/relay.ts';
import { createAuthenticator } from '../src/access/authenticate.ts';
import { createAuditPipeline } from '../src/audit/index.ts';
import { createLinkCredential } from '../src/links/link-credential.ts';
import { createDeviceRegistry, type DeviceLink } from '../src/links/registry.ts';
import { createKeyRing } from '../src/secrets/key-ring.ts';
import { sealSecret } from '../src/secrets/user-secrets.ts';
import type { StreamHandlers } from '../src/sessions/judge-again.ts';
import { type JudgeParts, judgeOpening } from '../src/sessions/judge-opening.ts';
import { createSessionLedger } from '../src/sessions/ledger.ts';
import { createOpeningGuard, type OpeningGuard } from '../src/sessions/opening-guard.ts';
import { addDevice, addShared, clock } from './live-sessions.ts';
import { createKeptLog, openStoreHere, type StoreHere } from './store-here.ts';

const ACME = 'acme' as OrgId;
const NOTICE = { at: 1, code: 'x', message: 'x' };
const signal = AbortSignal.timeout(60_000);
const log = createKeptLog();
const keys = createKeyRing([{ bytes: randomBytes(32) }]);

let here: StoreHere;
let mine: Device;
let acmes: Device;
let shared: Device;
beforeAll(async () => {
  here = await openStoreHere();
  const { store } = here;
  await store.organisations.insert({ id: ACME, name: 'Acme', createdAt: 1, createdBy: 'test', revision: 1 });
  const member = { org: ACME, email: 'amy@example.com', role: 'operator', addedAt: 1, addedBy: 'test' } as const;
  await store.organisations.setMember(member, SYSTEM_SCOPE, NOTICE);
  mine = await addDevice(store, 'user:amy@example.com');
  acmes = await addDevice(store, 'org:acme');
  shared = await addShared(store, 'bob@example.com');
});
afterAll(() => here[Symbol.asyncDispose]());

/** The same store, with every call that goes to it. Calls that are made in one turn travel together: they are one round trip. */
function counted(store: Store): { store: Store; trips: string[][]; forget: () => void } {
  const trips: string[][] = [];
  let turn: string[] | null = null;
  const count = (name: string) => {
    if (turn === null) {
      turn = [];
      trips.push(turn);
      queueMicrotask(() => {
        turn = null;
      });
    }
    turn.push(name);
  };
  const watch = <Part extends object>(part: Part, path: string): Part =>
    new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value === 'object' && value !== null) return watch(value, `${path}${String(name)}.`);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          count(path + String(name));
          return (value as (...all: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  return { store: watch(store, ''), trips, forget: () => void trips.splice(0) };
}

/** Whom a credential stands for, by the chain that a relay asks: the real one for keys, and one that vouches for a token as OIDC and JWT do. */
async function logIn(headers: { readonly authorization?: string; readonly 'x-api-key'?: string }): Promise<Principal> {
  const { store } = here;
  const keys = { name: 'apikey', provider: apikey.create({}, { store, clock, log } as never) };
  const tokens = {
    name: 'oidc',
    provider: {
      authenticate: async (credential: { readonly scheme: string; readonly token?: string }) =>
        credential.scheme === 'bearer'
          ? ({ outcome: 'accepted', principal: vouchedFor(credential.token!) } as const)
          : ({ outcome: 'skipped' } as const),
    },
  };
  const authenticator = createAuthenticator([tokens, keys], { store, admins: new Set(), clock, log });
  const { claimed } = await authenticator.authenticate(headers, signal);
  await keys.provider[Symbol.asyncDispose]?.();
  return claimed;
}

function vouchedFor(email: string): Principal {
  const scopes = [{ scope: 'org:of-a-claim' as Scope, role: 'viewer' as Role }];
  return { kind: 'user', id: `https://id.example|${email}`, label: email, email, scopes, admin: false, provider: 'oidc' };
}

async function keyOf(more: object): Promise<Principal> {
  const { id, hash, text } = createApiKeyText('user');
  const owner = 'user:amy@example.com' as Scope;
  const common = {
    kind: 'user',
    name: 'ci',
    owner,
    email: 'amy@example.com',
    admin: false,
    createdAt: 1,
    createdBy: 'test',
    revision: 1,
  } as const;
  await here.store.keys.insert({ id, hash, ...common, scopes: [{ scope: owner, role: 'operator' }], ...more });
  return logIn({ 'x-api-key': text });
}

/** Opens `exec` as a relay does, up to the moment in which the device is asked. */
async function open(
  principal: Principal,
  named: string,
  secrets: readonly string[] = [],
  guard: OpeningGuard = createOpeningGuard(),
): Promise<{ judging: string[][]; noting: string[][]; session: OpenSession | null; refused: string | null }> {
  const { store, trips, forget } = counted(here.store);
  const registry = createDeviceRegistry();
  for (const device of [mine, acmes, shared]) {
    registry.replace({ device, ready: true, link: {} as Link, features: [SECRETS_FEATURE] as readonly string[] } as DeviceLink, false);
  }
  await using pipeline = createAuditPipeline({ store: store.audit, sinks: [], clock, log });
  // The pipeline looks for the end of the trail once, when it has its first record.
  await pipeline.note({ at: 1, action: 'first', actor: { kind: 'nobody', id: '-', label: '-' }, outcome: 'ok' });
  const parts: JudgeParts = {
    store,
    registry,
    audit: (event) => pipeline.note(event),
    settling: { store, admins: new Set(), clock },
    handlers: new Map([['/exec/1', { name: 'exec', handler: exec.create({}, {} as never) as StreamHandler }]]) satisfies StreamHandlers,
    guard,
    keys,
    clock,
  };
  const ledger = createSessionLedger({ store, announce: (event) => pipeline.write(event), audit: parts.audit, clock, log });
  const stdin = { argv: ['true'], stdin: true, ...(secrets.length === 0 ? {} : { secrets: [...secrets] }) };
  const head = clientOpen.encode({ device: named, session: createId<SessionId>(), protocol: '/exec/1', body: stdin });
  forget();
  const opener = { credential: createLinkCredential(principal), address: '127.0.0.1' };
  let refused: string | null = null;
  const judged = await judgeOpening(parts, { head } as ByteStream, opener).catch((error: unknown) => {
    refused = toTowlineError(error).code;
    return null;
  });
  const judging = trips.map((trip) => [...trip]);
  forget();
  if (judged !== null) await ledger.open(judged.session);
  return { judging, noting: trips, session: judged?.session ?? null, refused };
}

const PRINCIPALS: Readonly<Record<string, { who: () => Promise<Principal>; device: () => Device }>> = {
  'a key from the rescue command': { who: () => keyOf({}), device: () => mine },
  'a key that its user made, bounded by what the user holds': {
    who: async () => {
      const { id } = await logIn({ authorization: 'Bearer amy@example.com' });
      return keyOf({ userId: id, bounded: true, streams: ['exec'], devices: [mine.id] });
    },
    device: () => mine,
  },
  'a user by OIDC or JWT': { who: () => logIn({ authorization: 'Bearer amy@example.com' }), device: () => mine },
  'a member of the organisation that owns the device': {
    who: () => logIn({ authorization: 'Bearer amy@example.com' }),
    device: () => acmes,
  },
  'somebody with whom the device is shared': { who: () => logIn({ authorization: 'Bearer bob@example.com' }), device: () => shared },
};

describe.each(Object.entries(PRINCIPALS))('an exec for %s', (_, { who, device }) => {
  it('is authorised by two round trips to the store, by id or by name, and put down by two more', async () => {
    const principal = await who();
    const byId = await open(principal, device().id);
    expect(byId.session?.deviceId).toBe(device().id);
    expect(byId.judging).toEqual([['standing'], ['devices.get']]);
    expect(byId.noting).toEqual([['sessions.insert'], ['audit.append']]);
    const byName = await open(principal, device().name);
    expect(byName.session?.deviceId).toBe(device().id);
    expect(byName.judging).toEqual([['standing'], ['devices.list']]);
  });

  it('takes no more where the device is named by the beginning of its id, which could be a name as well', async () => {
    const { judging, session } = await open(await who(), device().id.slice(0, 12));
    expect(session?.deviceId).toBe(device().id);
    expect(judging).toEqual([['standing'], ['devices.list', 'devices.list']]);
  });
});

it('secrets cost one round trip more, however many there are and wherever they are found', async () => {
  const at = { createdAt: 1, createdBy: 'test', updatedAt: 1, updatedBy: 'test', revision: 1 };
  const places = [
    { scope: 'user:amy@example.com' as Scope, name: 'OWN' },
    { scope: 'org:acme' as Scope, name: 'OF_OWNER' },
  ];
  for (const place of places) await here.store.secrets.insert({ ...place, ...sealSecret(keys, place, 'value'), ...at });
  const amy = await logIn({ authorization: 'Bearer amy@example.com' });
  const { judging, session } = await open(amy, acmes.id, ['OWN', 'OF_OWNER']);
  expect(session?.detail).toMatchObject({ secrets: ['user:amy@example.com/OWN', 'org:acme/OF_OWNER'] });
  expect(judging).toEqual([['standing'], ['devices.get'], Array(4).fill('secrets.get')]);
});

it('a device that is not there, or hidden, costs no more by name than one that is', async () => {
  const stranger = await logIn({ authorization: 'Bearer eve@example.com' });
  for (const named of ['no-such-device', mine.name, 'cafe']) {
    const { judging, session } = await open(stranger, named);
    expect(session).toBeNull();
    expect(judging.slice(0, 2).map(([first]) => first)).toEqual(['standing', 'devices.list']);
    // The third is the record of the refusal.
    expect(judging.slice(2)).toEqual([['audit.append']]);
  }
});

it('secrets are looked for and decrypted at a bounded rate, of which each principal has its own', async () => {
  const guard = createOpeningGuard(() => 0);
  const some = Array.from({ length: 50 }, (_, at) => `N_${at}`);
  const [amy, bob] = [await logIn({ authorization: 'Bearer amy@example.com' }), await logIn({ authorization: 'Bearer bob@example.com' })];
  const ask = async (who: Principal, device: Device, secrets: readonly string[] = []) =>
    (await open(who, device.id, secrets, guard)).refused;
  for (let at = 0; at < 40; at += 1) expect(await ask(amy, mine, some)).toBe('not_found');
  expect(await ask(amy, mine, ['ONE'])).toBe('rate_limited');
  expect(await ask(amy, mine)).toBeNull();
  expect(await ask(bob, shared, some)).toBe('not_found');
});
