import type { AuditEvent, Device, OpenSession, Principal, Share, Store, StreamHandler, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type DeviceId, type Scope, type SessionId } from '@towline/protocol';
import { createLinkCredential } from '../src/links/link-credential.ts';
import { createDeviceRegistry } from '../src/links/registry.ts';
import { watchRevocations } from '../src/links/revocation-watch.ts';
import type { CarriedSession } from '../src/sessions/carried.ts';
import type { StreamHandlers } from '../src/sessions/judge-again.ts';
import { createLiveAccess } from '../src/sessions/live-access.ts';
import { createKeptLog } from './store-here.ts';

export const clock = { now: Date.now };
export const handlers: StreamHandlers = new Map([['/exec/1', { name: 'exec', handler: { right: 'operator' } as StreamHandler }]]);

/** Adds a device to a store. */
export async function addDevice(
  store: Store,
  owner: string,
  shares: readonly Omit<Share, 'sharedAt' | 'sharedBy'>[] = [],
): Promise<Device> {
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
  await store.devices.insert(device);
  return device;
}

/** Adds a device of an organisation that is shared with somebody. */
export function addShared(store: Store, email: string): Promise<Device> {
  return addDevice(store, 'org:acme', [{ scope: `user:${email}` as Scope, role: 'operator' }]);
}

/** Takes all shares of a device back. */
export async function unshare(store: Store, { id }: Device): Promise<void> {
  const { revision } = (await store.devices.get(id, SYSTEM_SCOPE))!;
  const notice = { at: Date.now(), code: 'access_ended', message: 'Withdrawn.' };
  await store.devices.update(id, { shares: [] }, revision, SYSTEM_SCOPE, notice);
}

/** Somebody who logged in. */
export function principalOf(email: string): Principal {
  return { kind: 'user', id: `idp|${email}`, label: email, email, scopes: [], admin: false, provider: 'test' };
}

/** A session of somebody on a device, as it stands between its two streams, and the error it was ended with. */
export function carry(device: Device, email: string, principal = principalOf(email)): CarriedSession & { endedWith: TowlineError | null } {
  const carried = {
    session: { id: createId<SessionId>(), deviceId: device.id, protocol: '/exec/1' } as OpenSession,
    opener: { credential: createLinkCredential(principal), address: '127.0.0.1' },
    principal,
    endedWith: null as TowlineError | null,
    destroy(error: TowlineError) {
      carried.endedWith = error;
    },
  };
  return carried;
}

/** Starts what keeps live sessions to what is allowed, as a relay does. */
export async function startLiveAccess(store: Store) {
  const log = createKeptLog();
  const registry = createDeviceRegistry();
  const access = createLiveAccess({ store, settling: { store, admins: new Set(), clock }, handlers, registry, log });
  const audited: string[] = [];
  const audit = async ({ action }: AuditEvent) => void audited.push(action);
  const watch = await watchRevocations({ store, registry, clients: new Set(), access, audit, clock, log });
  return { access, watch, log, audited };
}
