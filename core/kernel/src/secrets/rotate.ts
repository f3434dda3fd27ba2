import { OPERATOR } from '../access/actor.ts';
import type { RescueParts } from '../rescue/keys.ts';
import type { KeyRing } from './key-ring.ts';
import { type ResealedSecrets, resealSecrets } from './reseal-secrets.ts';
import { sealWithCurrentKey } from './sealed-values.ts';

/**
 * Encrypts everything with the first key of the ring, and leaves nothing in the store's files that another key can open.
 * Records that have it already stay, so that a run that was cut short is finished by the next. Secrets of users that cannot be
 * decrypted stay as they are and are counted; a value of the relay itself that cannot be is an error, before anything is changed.
 */
export async function rotateSecrets({ store, audit, clock }: RescueParts, ring: KeyRing): Promise<ResealedSecrets> {
  const own = await sealWithCurrentKey(store.meta, ring);
  const { failed, faults, ...secrets } = await resealSecrets(store.secrets, ring);
  const count = { sealed: own.sealed + secrets.sealed, current: own.current + secrets.current, failed };
  await audit({
    at: clock.now(),
    action: 'secrets.rotated',
    actor: OPERATOR,
    ...(failed === 0 ? { outcome: 'ok' } : { outcome: 'failed', reason: faults[0]!.code }),
    detail: { key: ring.current, ...count },
  });
  await store.scrub?.();
  return { ...count, faults };
}
