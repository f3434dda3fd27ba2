import { basename } from 'node:path';
import { printable, type SecretValue, TowlineError } from '@towline/protocol';
import type { Account } from './account.ts';
import { isExecutable } from './identity.ts';
import { secretsScript } from './secret-environment.ts';

/**
 * Shells in which `"$@"` means something else. Only these are replaced: a shell that is not known may be a
 * restricted one, and going round it would be a way past the restriction.
 */
const OTHER_LANGUAGES = Object.freeze(['fish', 'csh', 'tcsh', 'nu', 'elvish', 'xonsh', 'pwsh', 'ion']);

/** Runs the words behind it. */
const RUN = 'exec "$@"';

/**
 * The words that run `argv`, unsplit, in the login environment of a user: `$SHELL -lc 'exec "$@"'`. For a user
 * whose shell is no POSIX shell /bin/sh stands in, so that the environment is that of /etc/profile and ~/.profile.
 * The secrets that `secretsEnvironment` carries are set after the files of the login, so these do not change them.
 */
export function loginCommand({ shell }: Account, argv: readonly [string, ...string[]], secrets: readonly SecretValue[] = []): string[] {
  const interpreter = OTHER_LANGUAGES.includes(basename(shell)) ? '/bin/sh' : shell;
  return [interpreter, '-lc', RUN, argv[0], ...namingSecrets(secrets, argv[0]), ...argv];
}

/** The words that start the user's own login shell. Secrets are set before it reads its files, which may change them. */
export function loginShell({ shell }: Account, secrets: readonly SecretValue[] = []): string[] {
  return [...namingSecrets(secrets, 'towline'), shell, '-l'];
}

/**
 * The words before a command that give the secrets their names, in a fresh shell: to that of the user a name may mean something
 * (`argv` is the command itself in zsh), or the files of the login have made it a number or read-only.
 */
function namingSecrets(secrets: readonly SecretValue[], name: string): string[] {
  return secrets.length === 0 ? [] : ['/bin/sh', '-c', `${secretsScript(secrets)}${RUN}`, name];
}

/** Makes sure that the user's shell can be started. @throws TowlineError `spawn_failed`. */
export async function checkShell({ name, shell }: Account): Promise<void> {
  if (shell.startsWith('/') && (await isExecutable(shell))) return;
  throw new TowlineError('spawn_failed', `The login shell of ${printable(name)}, ${printable(shell)}, cannot be started on the device.`);
}
