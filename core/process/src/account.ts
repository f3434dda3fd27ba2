import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { printable, TowlineError } from '@towline/protocol';

/** A user of the device, as passwd(5) has it. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** A directory service may be asked: how long it may take, milliseconds. */
const LOOKUP_DEADLINE_MS = 5_000;
/** Names of local and of directory users (`DOMAIN\user`, `user@domain`). A leading dash would be read as an option. */
const USER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,127}\$?$/;

const run = promisify(execFile);

/**
 * Looks up a user of this machine, by getent(1) where it exists, else in /etc/passwd.
 * @throws TowlineError `spawn_failed` when there is no such user.
 */
export async function resolveUser(name: string): Promise<Account> {
  const account = USER_NAME.test(name) ? parsePasswd(await readPasswd(name), name) : null;
  if (account) return account;
  throw new TowlineError('spawn_failed', `There is no user ${printable(name)} on the device.`, {
    hint: 'Create the user there, or name another one as run_as in device.yaml.',
  });
}

/** The user this process runs as. One without an entry, as in a container, gets a plain shell. */
export function ownAccount(env: Readonly<Record<string, string | undefined>>): Account {
  const uid = process.getuid?.() ?? 0;
  try {
    const { username, gid, homedir, shell } = userInfo();
    return { name: username, uid, gid, home: homedir, shell: shell || '/bin/sh' };
  } catch {
    return { name: String(uid), uid, gid: process.getgid?.() ?? 0, home: env.HOME || '/', shell: '/bin/sh' };
  }
}

/** Finds a user by name, or by number, among lines of passwd(5). */
export function parsePasswd(text: string, name: string): Account | null {
  for (const line of text.split('\n')) {
    const [user, , uid, gid, , home, shell] = line.split(':');
    if (user !== name && uid !== name) continue;
    if (!isNumber(uid) || !isNumber(gid) || !user) continue;
    return { name: user, uid: Number(uid), gid: Number(gid), home: home || '/', shell: shell || '/bin/sh' };
  }
  return null;
}

function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,10}$/.test(text);
}

async function readPasswd(name: string): Promise<string> {
  try {
    return (await run('/usr/bin/getent', ['passwd', name], { timeout: LOOKUP_DEADLINE_MS, env: {} })).stdout;
  } catch (error) {
    // Exit code 2 is getent's "not found"; anything else (it is missing, it hangs) leaves the local file.
    if ((error as { code?: unknown }).code === 2) return '';
    return readFile('/etc/passwd', 'utf8');
  }
}
