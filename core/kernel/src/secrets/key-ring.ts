import { createHmac, hkdfSync } from 'node:crypto';
import { TowlineError } from '@towline/contract';
import { decrypt, describePlace, encrypt, parseSealed, placeText, SEALED_VERSION, type SecretPlace } from './sealed-text.ts';

/** What a key is derived for: the same text used elsewhere makes another key. */
const KEY_USE = 'towline secrets at rest 1';
/** Text by whose digest a key is recognised. */
const KEY_CHECK = 'towline encryption key';
/** Hex digits of that digest: enough that no two keys of one relay are taken for each other. */
const CHECK_LENGTH = 16;

/** A key as it comes from the config or a file. */
export interface RawKey {
  /** Absent: the key is named by its fingerprint. */
  readonly id?: string;
  /** Whatever the key is made from; at least 32 bytes that nobody can guess. */
  readonly bytes: Uint8Array;
}

/** Keys by which texts are sealed and opened again. */
export interface KeyRing {
  /** Id of the key that seals. */
  readonly current: string;
  /** Whether values of the relay that lie in the clear are taken: until they were encrypted once, as earlier versions did not do that. */
  readonly takesClear: boolean;
  /** Encrypts a text for its place: `v1.KEY_ID.CHECK.BASE64URL`. */
  seal(text: string, place: SecretPlace): string;
  /**
   * Decrypts what was sealed for this place.
   * @throws TowlineError that names the key id: `secret_key_missing` when the ring has no such key, `secret_key_wrong` when that
   * of this id is another one, `secret_damaged` when the record was changed or belongs to another place.
   */
  open(sealed: string, place: SecretPlace): string;
  /** Whether the text was sealed with the key that seals now. */
  isCurrent(sealed: string): boolean;
}

interface Key {
  readonly id: string;
  /** Tells a key from others without telling it. */
  readonly check: string;
  readonly secret: Uint8Array;
}

/** Makes a ring. The first key seals, all of them open. @throws TowlineError `secret_key_missing` without any key. */
export function createKeyRing(raw: readonly RawKey[], { takesClear = false }: Partial<Pick<KeyRing, 'takesClear'>> = {}): KeyRing {
  const keys = raw.map(deriveKey);
  const [current] = keys;
  if (current === undefined) throw new TowlineError('secret_key_missing', 'There is no encryption key.');
  return {
    current: current.id,
    takesClear,
    seal(text, place) {
      const head = `${SEALED_VERSION}.${current.id}.${current.check}`;
      return `${head}.${encrypt(text, { secret: current.secret, bound: `${head}\n${placeText(place)}` })}`;
    },
    open(sealed, place) {
      const { head, keyId, check, body } = parseSealed(sealed, place);
      const key = findKey(keys, { keyId, check, place });
      return decrypt(body, { secret: key.secret, bound: `${head}\n${placeText(place)}` }, { keyId, place });
    },
    isCurrent(sealed) {
      return sealed.startsWith(`${SEALED_VERSION}.${current.id}.${current.check}.`);
    },
  };
}

function deriveKey({ id, bytes }: RawKey): Key {
  const secret = new Uint8Array(hkdfSync('sha256', bytes, '', KEY_USE, 32));
  const check = createHmac('sha256', secret).update(KEY_CHECK).digest('hex').slice(0, CHECK_LENGTH);
  return { id: id ?? check, check, secret };
}

/** By the id; or by what the key is, for one that was named otherwise when it sealed. */
function findKey(
  keys: readonly Key[],
  { keyId, check, place }: { readonly keyId: string; readonly check: string; readonly place: SecretPlace },
): Key {
  const same = keys.find((key) => key.check === check);
  if (same !== undefined) return same;
  const what = describePlace(place);
  if (keys.some(({ id }) => id === keyId))
    throw new TowlineError('secret_key_wrong', `${what} is encrypted with key ${keyId}, and the key configured by that id is another one.`);
  throw new TowlineError('secret_key_missing', `${what} is encrypted with key ${keyId}, which the relay does not have.`);
}
