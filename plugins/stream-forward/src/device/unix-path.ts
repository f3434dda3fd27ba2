import { realpath } from 'node:fs/promises';
import { TowlineError } from '@towline/protocol';
import type { AllowList } from '../target/allow-list.ts';
import type { UnixTarget } from '../target/target.ts';
import { notAllowed } from './resolve-host.ts';

/**
 * The real path of a socket, if that is allowed: a link leads only where somebody listed what it leads to. Who has the real path
 * connects to that. @throws TowlineError `target_not_allowed`, `target_not_found`.
 */
export async function allowedSocket(target: UnixTarget, allow: AllowList): Promise<string> {
  const real = await realPathOf(target.path);
  if (real !== null && (await allow.allowsRealPath(real, realPathOf))) return real;
  // Which files there are is told only to those who may go there.
  if (real === null && allow.allowsWritten(target)) throw new TowlineError('target_not_found', 'There is no such socket on the device.');
  throw notAllowed(target);
}

async function realPathOf(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch {
    return null;
  }
}
