import type { Clock, Log, OpenSession, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { APPROVED_LIFE_MS } from '../enrolment/parts.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import type { SessionLedger } from '../sessions/ledger.ts';

const EVERY_MS = 60_000;
/** How long a session of an absent device stays open in the books, milliseconds: then nobody will report its end in time. */
const DETACHED_LIMIT_MS = 600_000;
/** How long revocations are kept, milliseconds: a relay that watches reads each within a second. */
const REVOCATION_LIFE_MS = 86_400_000;

/** What housekeeping works with. */
export interface HousekeepingParts {
  readonly store: Store;
  readonly ledger: SessionLedger;
  readonly registry: DeviceRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

/** Clears away, once a minute, what has expired: requests to enrol, revocations, sessions of devices that stay away. */
export function startHousekeeping(parts: HousekeepingParts): AsyncDisposable {
  const startedAt = parts.clock.now();
  let running = Promise.resolve();
  const timer = setInterval(() => {
    running = running
      .then(() => clearAway(parts, startedAt))
      .catch((error: unknown) => parts.log.error('housekeeping failed; it is tried again', { error }));
  }, EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}

async function clearAway({ store, ledger, registry, clock }: HousekeepingParts, startedAt: number): Promise<void> {
  const now = clock.now();
  await store.registrations.deleteExpired(now - APPROVED_LIFE_MS);
  await store.revocations.deleteBefore(now - REVOCATION_LIFE_MS);
  await ledger.closeLost({
    isLost: async ({ deviceId, openedAt }: OpenSession) => {
      if (registry.get(deviceId) !== null) return false;
      const device = await store.devices.get(deviceId, SYSTEM_SCOPE);
      // A relay that was down itself cannot say how long the device has been away.
      const since = Math.max(openedAt, startedAt, device?.lastSeenAt ?? 0);
      return device === null || now - since > DETACHED_LIMIT_MS;
    },
  });
}
