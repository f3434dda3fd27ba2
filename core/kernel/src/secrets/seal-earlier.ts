import type { Log, Store } from '@towline/contract';
import type { KeyRing } from './key-ring.ts';
import { setSealedMark } from './sealed-mark.ts';
import { sealClearValues } from './sealed-values.ts';

/** What {@link sealEarlierSecrets} works with. */
export interface SealEarlierParts {
  readonly store: Store;
  readonly keys: KeyRing;
  readonly dataDir: string;
  readonly log: Log;
}

/**
 * Encrypts what an earlier version left in the clear, and leaves none of that in the files of the store. From then on
 * nothing in the clear is taken: not by the ring that it answers, and not by those that are opened later.
 * @throws TowlineError `secret_damaged` when something lies there in the clear again.
 */
export async function sealEarlierSecrets({ store, keys, dataDir, log }: SealEarlierParts): Promise<KeyRing> {
  const sealed = await sealClearValues(store.meta, keys);
  if (sealed > 0) {
    // Sealing is done; what is left in a log of the database goes at the latest when the relay stops.
    await store.scrub?.().catch((error: unknown) => log.warn('the database still holds some of it in its log', { error }));
    log.info('secrets that an earlier version left in the clear are encrypted now', { sealed, encryptedWith: keys.current });
  }
  await setSealedMark(dataDir);
  return { ...keys, takesClear: false };
}
