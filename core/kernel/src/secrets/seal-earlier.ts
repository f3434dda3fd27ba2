import type { Log, Store } from '@towline/contract';
import type { KeyRing } from './key-ring.ts';
import { sealClearValues } from './sealed-values.ts';

/** Encrypts what an earlier version left in the clear, and leaves none of that in the files of the store. */
export async function sealEarlierSecrets({
  store,
  keys,
  log,
}: {
  readonly store: Store;
  readonly keys: KeyRing;
  readonly log: Log;
}): Promise<void> {
  const sealed = await sealClearValues(store.meta, keys);
  if (sealed === 0) return;
  // Sealing is done; what is left in a log of the database goes at the latest when the relay stops.
  await store.scrub?.().catch((error: unknown) => log.warn('the database still holds some of it in its log', { error }));
  log.info('secrets that an earlier version left in the clear are encrypted now', { sealed, encryptedWith: keys.current });
}
