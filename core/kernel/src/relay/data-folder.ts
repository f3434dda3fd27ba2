import { constants } from 'node:fs';
import { access, chmod, mkdir, stat } from 'node:fs/promises';
import { TowlineError } from '@towline/contract';

/** Makes the data folder (0700) where it does not exist. @throws TowlineError `data_unwritable`. */
export async function openDataFolder(folder: string): Promise<void> {
  try {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    if (made !== undefined) await chmod(folder, 0o700);
    if (!(await stat(folder)).isDirectory()) throw new Error('it is not a folder');
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TowlineError('data_unwritable', `The data folder ${folder} cannot be written: ${reason}.`, { cause });
  }
}
