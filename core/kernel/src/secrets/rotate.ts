import { OPERATOR } from '../access/actor.ts';
import type { RescueParts } from '../rescue/keys.ts';
import type { KeyRing } from './key-ring.ts';
import { type SealedCount, sealWithCurrentKey } from './sealed-values.ts';

/**
 * Encrypts everything with the first key of the ring, and leaves nothing in the store's files that another key can open.
 * Records that have it already stay, so that a run that was cut short is finished by the next.
 */
export async function rotateSecrets({ store, audit, clock }: RescueParts, ring: KeyRing): Promise<SealedCount> {
  const count = await sealWithCurrentKey(store.meta, ring);
  await audit({
    at: clock.now(),
    action: 'secrets.rotated',
    actor: OPERATOR,
    outcome: 'ok',
    detail: { key: ring.current, sealed: count.sealed, current: count.current },
  });
  await store.scrub?.();
  return count;
}
