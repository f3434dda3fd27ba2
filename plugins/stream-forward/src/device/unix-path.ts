import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { TowlineError } from '@towline/protocol';
import type { AllowList } from '../target/allow-list.ts';
import type { UnixTarget } from '../target/target.ts';
import { notAllowed } from './resolve-host.ts';
import { trustedPathOf } from './trusted-path.ts';

/** O_PATH of Linux: a handle of a file that cannot be read by it, and need not be readable. */
const ONLY_THE_FILE = 0o10_000_000;

/** A socket that may be connected to, held until it is disposed of. */
export interface AllowedSocket extends AsyncDisposable {
  /** Leads to the very file that was judged, whatever has been put in its place since. */
  readonly path: string;
}

/**
 * Finds a socket, if its real path is allowed: a link leads only where somebody listed what it leads to.
 * @throws TowlineError `target_not_allowed`, `target_not_found`.
 */
export async function allowedSocket(target: UnixTarget, allow: AllowList): Promise<AllowedSocket> {
  const found = await find(target.path);
  if (found !== null && (await allow.allowsRealPath(found.real, trustedPathOf))) return found;
  await found?.[Symbol.asyncDispose]();
  // Which files there are is told only to those who may go there.
  if (found === null && allow.allowsWritten(target)) throw new TowlineError('target_not_found', 'There is no such socket on the device.');
  throw notAllowed(target);
}

interface FoundSocket extends AllowedSocket {
  readonly real: string;
}

async function find(path: string): Promise<FoundSocket | null> {
  try {
    if (process.platform === 'linux') return await hold(path);
    const real = await realpath(path);
    return { path: real, real, [Symbol.asyncDispose]: async () => {} };
  } catch {
    return null;
  }
}

/** What is held is what is connected to: whoever may write in the folder could put a link there between a look and a connection. */
async function hold(path: string): Promise<FoundSocket> {
  const handle: FileHandle = await open(path, ONLY_THE_FILE | constants.O_NONBLOCK);
  const held = `/proc/self/fd/${handle.fd}`;
  try {
    return { path: held, real: await readlink(held), [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
