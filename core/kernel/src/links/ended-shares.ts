import { type AuditEvent, type Clock, type Device, isTowlineError, type Share, type Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { defined } from '@towline/protocol';
import { OPERATOR } from '../access/actor.ts';

/** What clearing away shares works with. */
export interface EndedSharesParts {
  readonly store: Pick<Store, 'devices'>;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
}

/**
 * Takes shares whose time is over from their devices, with a revocation for each device, so that the sessions they carried end.
 * A device that somebody changes at the same moment is left for the next look.
 */
export async function clearEndedShares({ store, audit, clock }: EndedSharesParts): Promise<void> {
  const now = clock.now();
  for (const device of await store.devices.listWithEndedShares(now)) {
    const ended = device.shares.filter(({ until }) => until !== undefined && until <= now);
    if (ended.length === 0) continue;
    const shares = device.shares.filter((share) => !ended.includes(share));
    const notice = { at: now, code: 'access_ended', message: `The time for which ${device.name} was shared is over.` };
    try {
      await store.devices.update(device.id, { shares }, device.revision, SYSTEM_SCOPE, notice);
    } catch (error) {
      if (isTowlineError(error) && (error.code === 'store_conflict' || error.code === 'not_found')) continue;
      throw error;
    }
    for (const share of ended) await audit(endedEvent(device, share, now));
  }
}

function endedEvent({ id, name, owner }: Device, { scope, role, streams, until }: Share, now: number): AuditEvent {
  return {
    at: now,
    action: 'device.share_ended',
    actor: OPERATOR,
    device: { id, name },
    owner,
    outcome: 'ok',
    detail: { scope, role, ...defined({ streams: streams && [...streams], until: until && new Date(until).toISOString() }) },
  };
}
