import type { Secret } from '@towline/contract';
import type { KeyRing } from './key-ring.ts';
import type { SecretPlace } from './sealed-text.ts';

/** Which secret: where it stands. */
export type SecretName = Pick<Secret, 'scope' | 'name'>;

/** Encrypts the value of a secret for its scope and name: it can be decrypted nowhere else. */
export function sealSecret(ring: KeyRing, of: SecretName, value: string): Pick<Secret, 'sealed' | 'keyId'> {
  return { sealed: ring.seal(value, placeOfSecret(of)), keyId: ring.current };
}

/**
 * The value of a secret. One that lies there in the clear is damaged as well.
 * @throws TowlineError `secret_key_missing`, `secret_key_wrong`, `secret_damaged`, as {@link KeyRing.open}: it names scope and name.
 */
export function openSecret(ring: KeyRing, secret: SecretName & Pick<Secret, 'sealed'>): string {
  return ring.open(secret.sealed, placeOfSecret(secret));
}

/** Where the value of a secret belongs. */
export function placeOfSecret({ scope, name }: SecretName): SecretPlace {
  return { purpose: 'secret', scope, name };
}
