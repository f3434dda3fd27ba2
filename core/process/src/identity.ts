import { access, constants, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { printable, TowlineError } from '@towline/protocol';
import { type Account, ownAccount, resolveUser } from './account.ts';

/** Whom programs run as, and the words before a command that make it so. */
export interface Identity {
  readonly account: Account;
  /** Empty when the runtime itself is that user. */
  readonly switchUser: readonly string[];
}

/** What an identity is resolved from. */
export interface IdentityRequest {
  /** User to run as; absent: as the runtime itself. */
  readonly runAs: string | undefined;
  /** Effective user id of the runtime. */
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where util-linux puts it. Absolute: what runs as root is not looked up in PATH. */
const SETPRIV_PATHS = Object.freeze(['/usr/bin/setpriv', '/bin/setpriv', '/run/current-system/sw/bin/setpriv']);

/**
 * The one path by which a program gets another user's uid, gid and groups.
 * @throws TowlineError `run_as_required` when root was not told as whom; `spawn_failed` when it cannot be done.
 */
export async function resolveIdentity({ runAs, uid, env }: IdentityRequest): Promise<Identity> {
  const own = ownAccount(env);
  if (runAs === undefined) {
    if (uid === 0) throw new TowlineError('run_as_required');
    return { account: own, switchUser: [] };
  }
  const account = await resolveUser(runAs);
  if (account.uid === uid) return { account, switchUser: [] };
  if (uid !== 0) throw notRoot(account.name, own.name);
  return { account, switchUser: setprivCommand(await findSetpriv(), account) };
}

/**
 * Sets real, effective and saved ids and the groups of the user's own login, and drops inheritable capabilities; the
 * kernel drops the others with the uid. `--no-new-privs` stays off: the user's sudo must go on working.
 */
function setprivCommand(setpriv: string, { uid, gid }: Account): string[] {
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--inh-caps=-all', '--'];
}

async function findSetpriv(): Promise<string> {
  for (const path of SETPRIV_PATHS) {
    const target = await realpath(path).catch(() => null);
    // BusyBox brings a command of this name that cannot change users.
    if (target === null || basename(target) === 'busybox') continue;
    if (await isExecutable(target)) return path;
  }
  throw new TowlineError('spawn_failed', 'The device cannot run commands as another user: setpriv is missing there.', {
    hint: 'Install util-linux on the device (on Alpine the package setpriv).',
  });
}

function notRoot(wanted: string, own: string): TowlineError {
  return new TowlineError('spawn_failed', `The runtime runs as ${printable(own)} and cannot run commands as ${printable(wanted)}.`, {
    hint: 'Start the runtime as root, or take run_as out of device.yaml.',
  });
}

/** Whether this process may execute the file. */
export function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
