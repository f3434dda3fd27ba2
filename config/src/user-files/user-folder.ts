import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { printable, TowlineError } from '@towline/protocol';
import type { Environment } from '../reading/substitution.ts';

const PROFILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** From what the folder of a user's files is found. */
export interface UserFolderSources {
  readonly env: Environment;
  /** Value of `--profile`; wins over TOWLINE_PROFILE. */
  readonly profile?: string | undefined;
}

/**
 * The folder of a user's files, absolute: `$TOWLINE_CONFIG_DIR`, else `$XDG_CONFIG_HOME/towline`, else `~/.config/towline`,
 * and `profiles/NAME` in it where a profile is chosen. Nothing is made.
 * @throws TowlineError `usage` when the name of the profile is none.
 */
export function userFolder({ env, profile = env.TOWLINE_PROFILE }: UserFolderSources): string {
  const base = baseFolder(env);
  if (profile === undefined || profile === '') return base;
  if (PROFILE.test(profile)) return join(base, 'profiles', profile);
  throw new TowlineError('usage', `"${printable(profile)}" is not the name of a profile.`, {
    hint: 'A name has up to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit.',
  });
}

function baseFolder(env: Environment): string {
  if (env.TOWLINE_CONFIG_DIR) return resolve(env.TOWLINE_CONFIG_DIR);
  // XDG Base Directory Specification 0.8: a relative path in the variable is to be ignored.
  const xdg = env.XDG_CONFIG_HOME;
  return xdg?.startsWith('/') ? join(xdg, 'towline') : join(env.HOME || homedir(), '.config', 'towline');
}

/**
 * Makes the folder (0700) with its parents, and refuses one in which others could replace files.
 * @throws TowlineError `credentials_unsafe`, or `data_unwritable`.
 */
export async function ensureUserFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw new TowlineError('data_unwritable', `The folder ${dir} cannot be made (${cause.code ?? cause.message}).`, {
      hint: 'Check the owner and mode of the folder above it, or set TOWLINE_CONFIG_DIR.',
      cause,
    });
  });
  await refuseSharedFolder(dir);
}

/** Refuses a folder in which others may replace files. One that is missing is fine: nothing is in it. */
export async function refuseSharedFolder(dir: string): Promise<void> {
  const found = await stat(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  const others = (found?.mode ?? 0) & 0o022;
  // In a sticky folder (as /tmp is) only the owner of a file may replace it.
  if (process.platform === 'win32' || others === 0 || (found!.mode & 0o1000) !== 0) return;
  const mode = (found!.mode & 0o777).toString(8).padStart(4, '0');
  throw new TowlineError('credentials_unsafe', `Others can replace files in the folder ${dir} (mode ${mode}).`, {
    hint: `Run chmod 700 ${dir}, and look whether its files are yours.`,
  });
}
