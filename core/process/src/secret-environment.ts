import type { SecretValue } from '@towline/protocol';

/**
 * Before the name of a secret while it is carried: what is started before the user's own program may run as root, and a
 * variable of this name means nothing to it. No secret begins so itself.
 */
const CARRIER = 'TOWLINE_SECRET_';

/** Variables by which secrets are carried to {@link secretsScript}; values are never part of a command line. */
export function secretsEnvironment(secrets: readonly SecretValue[]): Record<string, string> {
  return Object.fromEntries(secrets.map(({ name, value }) => [`${CARRIER}${name}`, value]));
}

/**
 * Commands for a POSIX shell that give the secrets their own names and forget the carriers. A secret that got lost on the way
 * ends the shell. Names are checked where they come in: letters, digits and underscores.
 */
export function secretsScript(secrets: readonly SecretValue[]): string {
  return secrets.map(({ name }) => `${name}="\${${CARRIER}${name}?}"; export ${name}; unset ${CARRIER}${name}; `).join('');
}
