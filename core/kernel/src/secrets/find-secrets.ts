import { type Device, type Principal, roleIncludes, type Secret, type Store, TowlineError } from '@towline/contract';
import { parseSecretWord, printable, type Scope, type SecretValue, secretWordsFault, userScope } from '@towline/protocol';
import { RIGHTS } from '../access/rights.ts';
import { callerOf, roleOn } from '../access/roles.ts';
import type { KeyRing } from './key-ring.ts';
import { openSecret } from './user-secrets.ts';

/** What secrets are asked for, by whom, and on which device. */
export interface SecretRequest {
  readonly principal: Principal;
  readonly device: Pick<Device, 'owner'>;
  /** `NAME` or `SCOPE/NAME` each. */
  readonly words: readonly string[];
}

/**
 * The secrets a session asks for, still encrypted: `NAME` in the user's own scope, then in that which owns the device. Whether they
 * may be used is judged by the scope where each is found. @throws TowlineError `invalid_request`, `not_found`.
 */
export async function findSecrets(store: Pick<Store, 'secrets'>, { principal, device, words }: SecretRequest): Promise<readonly Secret[]> {
  const fault = secretWordsFault(words);
  if (fault !== null) throw new TowlineError('invalid_request', `The open message is not valid: secrets: ${fault}.`);
  return Promise.all(words.map((word) => findSecret(store, { principal, device, word })));
}

/** Their values. @throws TowlineError `secret_key_missing`, `secret_key_wrong`, `secret_damaged`, which name the key. */
export function openSecrets(keys: KeyRing, secrets: readonly Secret[]): readonly SecretValue[] {
  return secrets.map((secret) => ({ name: secret.name, value: openSecret(keys, secret) }));
}

/** How the audit trail names a secret. */
export function secretLabel({ scope, name }: Pick<Secret, 'scope' | 'name'>): string {
  return `${scope}/${name}`;
}

async function findSecret(
  { secrets }: Pick<Store, 'secrets'>,
  { principal, device, word }: Omit<SecretRequest, 'words'> & { readonly word: string },
): Promise<Secret> {
  const { scope, name } = parseSecretWord(word)!;
  const own = principal.email === undefined ? [] : [userScope(principal.email)];
  const places = scope === null ? new Set([...own, device.owner]) : [scope];
  // Asked for in one turn, so that however many there are, they cost one round trip to the store.
  const found = await Promise.all([...places].map((place) => secrets.get(place, name, callerOf(principal))));
  // The first that there is counts, whether or not it may be used: another value under that name would be a surprise.
  const secret = found.find((each) => each !== null);
  if (secret && mayUse(principal, secret.scope)) return secret;
  throw unknown(word);
}

/** A credential for some devices has nothing of what the scope owns besides them; which streams it is for was judged already. */
function mayUse(principal: Principal, scope: Scope): boolean {
  const held = roleOn(principal, scope);
  return held !== null && roleIncludes(held, RIGHTS['secret.use'].role) && principal.devices === undefined;
}

function unknown(word: string): TowlineError {
  return new TowlineError('not_found', `No secret ${printable(word)}, or it is not yours to use.`, {
    hint: '`towline secrets list` shows yours, with --scope those of an organisation. To use one takes the role operator there, and no key for some devices only.',
  });
}
