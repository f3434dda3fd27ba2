import { isTowlineError, type Secret, type SecretRepository, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { ErrorCode } from '@towline/protocol';
import { allPages } from '../people/pages.ts';
import type { KeyRing } from './key-ring.ts';
import { describePlace, placeText } from './sealed-text.ts';
import { MAX_TRIES, type SealedCount } from './sealed-values.ts';
import { openSecret, placeOfSecret, type SecretName, sealSecret } from './user-secrets.ts';

/** Faults that are told one by one: as many as somebody reads. */
const MAX_FAULTS = 20;
/** What one record can have and another not. */
const FAULTS_OF_ONE: ReadonlySet<ErrorCode> = new Set(['secret_key_missing', 'secret_key_wrong', 'secret_damaged']);

/** What became of the secrets of users. */
export interface ResealedSecrets extends SealedCount {
  /** Could not be decrypted, and stay as they are. */
  readonly failed: number;
  /** Why, for the first twenty of them; each names scope, name and key. */
  readonly faults: readonly TowlineError[];
}

type Outcome = 'sealed' | 'current' | 'absent';

/**
 * Encrypts every secret anew that is not encrypted with the newest key, each by itself and only as long as nobody else has
 * changed it; one that cannot be decrypted holds up no other. It can be repeated after any failure.
 */
export async function resealSecrets(secrets: SecretRepository, ring: KeyRing): Promise<ResealedSecrets> {
  const count = { sealed: 0, current: 0, absent: 0 };
  const failed = new Set<string>();
  const faults: TowlineError[] = [];
  const take = async (secret: Secret) => {
    try {
      count[await resealOne(secrets, ring, secret)] += 1;
    } catch (error) {
      if (!isTowlineError(error) || !FAULTS_OF_ONE.has(error.code)) throw error;
      failed.add(placeText(placeOfSecret(secret)));
      if (faults.length < MAX_FAULTS) faults.push(error);
    }
  };
  // All of them: what lies under the id of the newest key may be encrypted with a former key of that id.
  for await (const secret of allPages((page) => secrets.list({}, page, SYSTEM_SCOPE))) await take(secret);
  const late = async () => (await secrets.listNotUnder(ring.current)).filter((secret) => !failed.has(placeText(placeOfSecret(secret))));
  // What a relay that has only the older key wrote meanwhile.
  for (let left = await late(); left.length > 0; left = await late()) for (const secret of left) await take(secret);
  return { sealed: count.sealed, current: count.current, failed: failed.size, faults };
}

async function resealOne(secrets: SecretRepository, ring: KeyRing, found: Secret): Promise<Outcome> {
  let secret: Secret | null = found;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    if (secret === null) return 'absent';
    if (secret.keyId === ring.current && ring.isCurrent(secret.sealed)) return 'current';
    if (await replace(secrets, secret, sealSecret(ring, secret, openSecret(ring, secret)))) return 'sealed';
    secret = await secrets.get(secret.scope, secret.name, SYSTEM_SCOPE);
  }
  throw changedAllTheTime(found);
}

/** Leaves when and by whom it was set. False when it was changed or removed in between. */
async function replace(
  secrets: SecretRepository,
  { scope, name, revision }: Secret,
  change: Pick<Secret, 'sealed' | 'keyId'>,
): Promise<boolean> {
  try {
    await secrets.update(scope, name, change, revision, SYSTEM_SCOPE);
    return true;
  } catch (error) {
    if (isTowlineError(error) && (error.code === 'store_conflict' || error.code === 'not_found')) return false;
    throw error;
  }
}

function changedAllTheTime(secret: SecretName): TowlineError {
  return new TowlineError('store_conflict', `${describePlace(placeOfSecret(secret))} is changed by others all the time.`);
}
