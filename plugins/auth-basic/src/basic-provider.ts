import { domainToASCII } from 'node:url';
import type { AuthOutcome, AuthProvider, Clock, Credential, Principal } from '@towline/contract';
import { defined } from '@towline/protocol';
import { createGuessGate } from './guess-gate.ts';
import { createKnownLogins } from './known-logins.ts';
import type { BasicUser } from './options.ts';
import { unmatchedHash, verifyPassword } from './password-hash.ts';
import { MAX_PASSWORD_LENGTH } from './password-strength.ts';

/** Name of the plugin, which its principals carry and which is the issuer in their ids. */
export const PROVIDER = 'basic';

const SKIPPED: AuthOutcome = Object.freeze({ outcome: 'skipped' });
/** One answer for an unknown user and a wrong password: nobody learns which users exist. */
const WRONG: AuthOutcome = Object.freeze({
  outcome: 'rejected',
  code: 'unauthenticated',
  message: 'The user name or the password is wrong.',
});
const BUSY: AuthOutcome = Object.freeze({ outcome: 'rejected', code: 'rate_limited', message: 'Too many log in by password at once.' });

/** Judges user names and passwords by the users of the config. An unknown user takes as long as a wrong password. */
export function createBasicJudge(users: readonly BasicUser[], clock: Clock): AuthProvider['authenticate'] {
  const byName = new Map(users.map((user) => [user.username, user]));
  const nobody = unmatchedHash(users[0]?.password_hash);
  const gate = createGuessGate();
  const known = createKnownLogins(clock);
  return async (credential, signal) => {
    if (credential.scheme !== 'basic') return SKIPPED;
    const login = readLogin(credential);
    if (login === null) return WRONG;
    const user = byName.get(login.username);
    const tag = known.tagOf(login.username, login.password);
    if (user !== undefined && known.has(tag)) return { outcome: 'accepted', principal: principalOf(user) };
    const matches = await gate.run(async () => {
      // Who has hung up while it waited costs nothing any more.
      signal.throwIfAborted();
      // The same login may have been found right meanwhile: programs ask for several things at once.
      if (user !== undefined && known.has(tag)) return true;
      return verifyPassword(login.password, user?.password_hash ?? nobody);
    });
    if (matches === null) return BUSY;
    if (user === undefined || !matches) return WRONG;
    known.add(tag);
    return { outcome: 'accepted', principal: principalOf(user) };
  };
}

/** Domains of the addresses that the operator has written, ASCII as other providers name theirs; undefined when there are none. */
export function emailDomainsOf(users: readonly { readonly email?: string | undefined }[]): readonly string[] | undefined {
  const domains = users.flatMap(({ email }) => (email === undefined ? [] : [asciiDomain(email.slice(email.lastIndexOf('@') + 1))]));
  return domains.length === 0 ? undefined : [...new Set(domains)];
}

/** A domain that has no ASCII form stays as it is. */
function asciiDomain(domain: string): string {
  return domainToASCII(domain) || domain;
}

/** In the one form in which names and passwords are compared; null for what no user of the config can be. */
function readLogin({ username, password }: Extract<Credential, { scheme: 'basic' }>) {
  if (/\p{Cc}/u.test(username) || /\p{Cc}/u.test(password)) return null;
  const login = { username: username.normalize('NFC'), password: password.normalize('NFC') };
  return [...login.password].length > MAX_PASSWORD_LENGTH ? null : login;
}

function principalOf({ username, email, scopes, streams, admin }: BasicUser): Principal {
  return {
    kind: 'user',
    id: `${PROVIDER}|${username}`,
    label: email ?? username,
    scopes,
    admin,
    provider: PROVIDER,
    ...defined({ email, streams }),
  };
}
