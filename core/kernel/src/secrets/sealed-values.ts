import { type MetaRepository, type Store, TowlineError } from '@towline/contract';
import type { KeyRing } from './key-ring.ts';
import { SEALED_MARK } from './sealed-mark.ts';
import { describePlace, looksSealed, parseSealed, type SecretPlace, SYSTEM } from './sealed-text.ts';

/** Values of the relay itself that lie encrypted in the store. */
export const GRANT_SECRETS: SecretPlace = Object.freeze({ purpose: 'grant secrets', scope: SYSTEM, name: 'grant.secrets' });
const SEALED_VALUES: readonly SecretPlace[] = Object.freeze([GRANT_SECRETS]);
/** The id of no key. */
const NO_KEY = '';
/** How often a value that others change at the same time is tried. */
export const MAX_TRIES = 5;

/** What became of the values that should be encrypted with the newest key. */
export interface SealedCount {
  /** Encrypted anew. */
  readonly sealed: number;
  /** Were so already. */
  readonly current: number;
}

/** Ids of keys that something is encrypted with: of all that values of the relay are, and of some that secrets of users are. */
export async function sealedKeyIds({ meta, secrets }: Pick<Store, 'meta' | 'secrets'>): Promise<readonly string[]> {
  const some = await secrets.listNotUnder(NO_KEY);
  const values = await Promise.all(SEALED_VALUES.map(async (place) => ({ place, value: await meta.get(place.name) })));
  const own = values.flatMap(({ place, value }) => (value !== null && looksSealed(value) ? [parseSealed(value, place).keyId] : []));
  return [...new Set([...own, ...some.map(({ keyId }) => keyId)])];
}

/**
 * A value in the clear; null when there is none. Those of earlier versions, which did not encrypt, are read as they are.
 * @throws TowlineError as {@link KeyRing.open} does; `secret_damaged` also for a value in the clear that the ring does not take.
 */
export function openValue(value: string | null, place: SecretPlace, ring: KeyRing): string | null {
  if (value === null) return null;
  if (looksSealed(value)) return ring.open(value, place);
  if (ring.takesClear) return value;
  throw new TowlineError('secret_damaged', `${describePlace(place)} lies in the clear, although it was encrypted before.`, {
    hint: `Somebody may have put it there: restore the database from a backup. If it is that of an earlier version, delete ${SEALED_MARK} in the data folder.`,
  });
}

/** Encrypts what an earlier version left in the clear. Answers how many values that were. */
export async function sealClearValues(meta: MetaRepository, ring: KeyRing): Promise<number> {
  const { sealed } = await sealWhere(meta, ring, (value) => !looksSealed(value));
  return sealed;
}

/** Encrypts anew whatever is not encrypted with the newest key. It can be repeated after any failure. */
export function sealWithCurrentKey(meta: MetaRepository, ring: KeyRing): Promise<SealedCount> {
  return sealWhere(meta, ring, (value) => !ring.isCurrent(value));
}

async function sealWhere(meta: MetaRepository, ring: KeyRing, isDue: (value: string) => boolean): Promise<SealedCount> {
  const count = { sealed: 0, current: 0 };
  for (const place of SEALED_VALUES) {
    const outcome = await sealOne(meta, { place, ring, isDue });
    if (outcome !== 'absent') count[outcome] += 1;
  }
  return count;
}

async function sealOne(
  meta: MetaRepository,
  { place, ring, isDue }: { readonly place: SecretPlace; readonly ring: KeyRing; readonly isDue: (value: string) => boolean },
): Promise<'sealed' | 'current' | 'absent'> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const value = await meta.get(place.name);
    if (value === null) return 'absent';
    if (!isDue(value)) return 'current';
    const text = openValue(value, place, ring)!;
    if (await meta.compareAndSet(place.name, value, ring.seal(text, place))) return 'sealed';
  }
  throw new TowlineError('store_conflict', `${describePlace(place)} is changed by others all the time.`);
}
