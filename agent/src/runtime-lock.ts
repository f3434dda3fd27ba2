import { join } from 'node:path';
import { acquireProcessLock, type ProcessLock } from '@towline/config/process-lock';
import { ensureUserFolder } from '@towline/config/user-files';
import { isTowlineError, TowlineError } from '@towline/protocol';

const LOCK_FILE = 'runtime.lock';

/** Makes this process the one runtime of the folder. @throws TowlineError `data_in_use` that names the other. */
export async function lockRuntime(dir: string): Promise<ProcessLock> {
  await ensureUserFolder(dir);
  try {
    return await acquireProcessLock(join(dir, LOCK_FILE));
  } catch (error) {
    if (!isTowlineError(error) || error.code !== 'data_in_use') throw error;
    throw new TowlineError('data_in_use', `A runtime is running with these files already. ${error.message}`, {
      hint: 'Stop it first (`towline runtime status` shows it), or give this one a profile of its own with --profile NAME.',
      cause: error,
    });
  }
}

/** Whether a runtime holds the folder. */
export async function isRuntimeRunning(dir: string): Promise<boolean> {
  try {
    await using _lock = await lockRuntime(dir);
    return false;
  } catch (error) {
    if (isTowlineError(error) && error.code === 'data_in_use') return true;
    throw error;
  }
}
