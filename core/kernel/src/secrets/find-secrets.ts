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

/** What came of it: all that were asked for, or the first that the session does not get, by the word that stands for it. */
export type FoundSecrets = { readonly secrets: readonly Secret[] } | { readonly refused: string };

/**
 * The secrets a session asks for, still encrypted: `NAME` in the user's own scope, then in that which owns the device. Whether they
 * may be used is judged by the scope where each is found. @throws TowlineError `invalid_request`.
 */
export async function findSecrets(store: Pick<Store, 'secrets'>, { principal, device, words }: SecretRequest): Promise<FoundSecrets> {
  const fault = secretWordsFault(words);
  if (fault !== null) throw new TowlineError('invalid_request', `The open message is not valid: secrets: ${fault}.`);
  const found = await Promise.all(words.map((word) => findSecret(store, { principal, device, word })));
  const refused = words.find((_, at) => found[at] === null);
  return refused === undefined ? { secrets: found.filter((secret) => secret !== null) } : { refused };
}

/** The error for one that a session does not get: the same whether there is none, or it is not this user's to use. */
export function refusedSecret(word: string): TowlineError {
  return new TowlineError('not_found', `No secret ${printable(word)}, or it is not yours to use.`, {
    hint: '`towline secrets list` shows yours, with --scope those of an organisation. To use one takes the role operator there, and no key for some devices only.',
  });
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
): Promise<Secret | null> {
  const { scope, name } = parseSecretWord(word)!;
  const own = principal.email === undefined ? [] : [userScope(principal.email)];
  const places = scope === null ? new Set([...own, device.owner]) : [scope];
  // Asked for in one turn, so that however many there are, they cost one round trip to the store.
  const found = await Promise.all([...places].map((place) => secrets.get(place, name, callerOf(principal))));
  // The first that there is counts, whether or not it may be used: another value under that name would be a surprise.
  const secret = found.find((each) => each !== null);
  return secret && mayUse(principal, secret.scope) ? secret : null;
}

/** A credential for some devices has nothing of what the scope owns besides them; which streams it is for was judged already. */
function mayUse(principal: Principal, scope: Scope): boolean {
  const held = roleOn(principal, scope);
  return held !== null && roleIncludes(held, RIGHTS['secret.use'].role) && principal.devices === undefined;
}
