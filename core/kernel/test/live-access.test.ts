import { type Device, type OpenSession, type Principal, type Share, type Store, type StreamHandler, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type DeviceId, type OrgId, type Scope, type SessionId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLinkCredential } from '../src/links/link-credential.ts';
import { createDeviceRegistry } from '../src/links/registry.ts';
import { watchRevocations } from '../src/links/revocation-watch.ts';
import type { CarriedSession } from '../src/sessions/carried.ts';
import type { StreamHandlers } from '../src/sessions/judge-again.ts';
import { createLiveAccess } from '../src/sessions/live-access.ts';
import { createKeptLog, openStoreHere, type StoreHere, withFault } from './store-here.ts';

let here: StoreHere;
beforeAll(async () => {
  here = await openStoreHere();
});
afterAll(() => here[Symbol.asyncDispose]());

const clock = { now: Date.now };
const handlers: StreamHandlers = new Map([['/exec/1', { name: 'exec', handler: { right: 'operator' } as StreamHandler }]]);
const NOTICE = { code: 'access_ended', message: 'Withdrawn.' } as const;

async function addDevice(owner: string, shares: readonly Omit<Share, 'sharedAt' | 'sharedBy'>[] = []): Promise<Device> {
  const id = createId<DeviceId>();
  const device: Device = {
    id,
    name: `pi-${id.slice(0, 6)}`,
    owner: owner as Scope,
    shares: shares.map((each) => ({ ...each, sharedAt: 1, sharedBy: 'test' })),
    publicKey: id,
    fingerprint: `sha256:${id}`,
    facts: { hostname: 'pi', platform: 'linux', arch: 'arm64', version: '1' },
    enrolledAt: 1,
    enrolledBy: 'test',
    revision: 1,
  };
  await here.store.devices.insert(device);
  return device;
}

/** A session of somebody on a device, as it stands between its two streams, and the code it was ended with. */
function carry(device: Device, email: string): CarriedSession & { endedWith: TowlineError | null } {
  const principal: Principal = { kind: 'user', id: `idp|${email}`, label: email, email, scopes: [], admin: false, provider: 'test' };
  const session = { id: createId<SessionId>(), deviceId: device.id, protocol: '/exec/1' } as OpenSession;
  const carried = {
    session,
    opener: { credential: createLinkCredential(principal), address: '127.0.0.1' },
    principal,
    endedWith: null as TowlineError | null,
    destroy(error: TowlineError) {
      carried.endedWith = error;
    },
  };
  return carried;
}

async function start(store: Store = here.store) {
  const log = createKeptLog();
  const registry = createDeviceRegistry();
  const access = createLiveAccess({ store, settling: { store, admins: new Set(), clock }, handlers, registry, log });
  const audited: string[] = [];
  const audit = async ({ action }: { readonly action: string }) => void audited.push(action);
  const watch = await watchRevocations({ store, registry, clients: new Set(), access, audit, clock, log });
  return { access, watch, log, audited };
}
const unshare = async ({ id }: Device) => {
  const { revision } = (await here.store.devices.get(id, SYSTEM_SCOPE))!;
  await here.store.devices.update(id, { shares: [] }, revision, SYSTEM_SCOPE, { at: Date.now(), ...NOTICE });
};
const shared = (email: string) => addDevice('org:acme', [{ scope: `user:${email}` as Scope, role: 'operator' }]);

describe('access that ends while the store fails', () => {
  it('is enforced as soon as the store answers again: nothing is forgotten', async () => {
    let down = true;
    const flaky = withFault(here.store, 'devices', 'get', () => {
      if (down) throw new TowlineError('store_failed');
    });
    const { access, watch, log } = await start(flaky);
    const device = await shared('amy@example.com');
    const session = carry(device, 'amy@example.com');
    access.watch(session, access.round);
    await unshare(device);
    await watch.look();
    expect(session.endedWith, 'nobody knows yet').toBeNull();
    expect(log.lines).toContain('a session could not be judged anew; it is tried again');
    down = false;
    await watch.look();
    expect(session.endedWith).toMatchObject({ code: 'access_ended', message: 'Withdrawn.' });
    await watch[Symbol.asyncDispose]();
  });

  it('is read later when it could not be read', async () => {
    let down = true;
    const flaky = withFault(here.store, 'revocations', 'listAfter', () => {
      if (down) throw new TowlineError('store_failed');
    });
    const { access, watch } = await start(flaky);
    const device = await shared('ben@example.com');
    const session = carry(device, 'ben@example.com');
    access.watch(session, access.round);
    await unshare(device);
    await watch.look();
    down = false;
    await watch.look();
    expect(session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });
});

describe('a session', () => {
  it('that was judged before access ended, and was not yet carried then, is judged once more', async () => {
    const { access, watch } = await start();
    const device = await shared('cal@example.com');
    const judged = access.round;
    await unshare(device);
    await watch.look();
    const session = carry(device, 'cal@example.com');
    access.watch(session, judged);
    await expect.poll(() => session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });

  it('that is over is not judged any more', async () => {
    const { access, watch } = await start();
    const device = await shared('deb@example.com');
    const session = carry(device, 'deb@example.com');
    access.watch(session, access.round)();
    await unshare(device);
    await watch.look();
    expect(session.endedWith).toBeNull();
    await watch[Symbol.asyncDispose]();
  });

  it('among a thousand is found, and only those that are touched are judged', async () => {
    let judged = 0;
    const counting = withFault(here.store, 'devices', 'get', () => {
      judged += 1;
    });
    const { access, watch } = await start(counting);
    await here.store.organisations.insert({ id: 'big' as OrgId, name: 'big', createdAt: 1, createdBy: 'test', revision: 1 });
    const devices = [await shared('eli@example.com'), await addDevice('user:fay@example.com')];
    const touched = Array.from({ length: 500 }, () => carry(devices[0]!, 'eli@example.com'));
    const others = Array.from({ length: 500 }, () => carry(devices[1]!, 'fay@example.com'));
    for (const session of [...touched, ...others]) access.watch(session, access.round);
    await unshare(devices[0]!);
    const from = performance.now();
    await watch.look();
    expect(performance.now() - from).toBeLessThan(2_000);
    expect(touched.every(({ endedWith }) => endedWith?.code === 'access_ended')).toBe(true);
    expect(others.every(({ endedWith }) => endedWith === null)).toBe(true);
    expect(judged).toBe(500);
    await watch[Symbol.asyncDispose]();
  });
});

describe('a share whose time is over', () => {
  it('is taken away once, by one of two relays on the store, and written down by that one', async () => {
    const device = await addDevice('org:acme', [{ scope: 'user:gus@example.com' as Scope, role: 'operator', until: Date.now() - 1 }]);
    const [one, two] = [await start(), await start()];
    await Promise.all([one.watch.look(), two.watch.look()]);
    expect((await here.store.devices.get(device.id, SYSTEM_SCOPE))?.shares).toEqual([]);
    expect([...one.audited, ...two.audited]).toEqual(['device.share_ended']);
    for (const { watch } of [one, two]) await watch[Symbol.asyncDispose]();
  });
});
