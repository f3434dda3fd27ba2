import type { AuditActor, AuditEvent, Clock, Principal, Store } from '@towline/contract';
import { defined } from '@towline/protocol';
import { actorOf } from '../access/actor.ts';

/** What changes of people, organisations, keys and shares work with. */
export interface ChangeParts {
  readonly store: Store;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  /** Has what lives by access that was just taken away closed at once. */
  readonly enforce: () => Promise<void>;
}

/** Who asks for a change, and from where. */
export interface Asker {
  readonly principal: Principal;
  readonly address: string;
}

/** Who makes a change, as the trail names it. */
export interface Doer {
  readonly actor: AuditActor;
  readonly address?: string;
}

/** An asker as the trail names it. */
export function doerOf({ principal, address }: Asker): Doer {
  return { actor: actorOf(principal), address };
}

/** Records a change that was made. `owner`: the scope whose admins may read of it; left out: platform admins only. */
export async function recordChange(
  { audit, clock }: Pick<ChangeParts, 'audit' | 'clock'>,
  { actor, address }: Doer,
  change: Pick<AuditEvent, 'action' | 'owner' | 'device' | 'detail'>,
): Promise<void> {
  await audit({ at: clock.now(), actor, ...defined({ address }), outcome: 'ok', ...change });
}

/** Ends what lives by access that is gone, then records the change: the trail may be slow, the end of access must not be. */
export async function enforceAndRecord(parts: ChangeParts, doer: Doer, change: Parameters<typeof recordChange>[2]): Promise<void> {
  await parts.enforce();
  await recordChange(parts, doer, change);
}
