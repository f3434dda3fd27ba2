import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TowlineError } from '@towline/contract';

/** Name of the file; beside the database it would go along with a copy of that. */
export const SEALED_MARK = 'encryption.done';
/** For whoever finds it. */
const TEXT = 'The relay has encrypted its secrets in the store. As long as this file is here it takes none in the clear from there.\n';

function pathOf(dataDir: string): string {
  return join(dataDir, SEALED_MARK);
}

/** Whether a relay on this data folder has encrypted its values once: since then none lies in the clear by right. */
export async function hasSealedMark(dataDir: string): Promise<boolean> {
  try {
    await access(pathOf(dataDir));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new TowlineError('data_unwritable', `${pathOf(dataDir)} cannot be looked at.`, { cause: error });
  }
}

/** Notes that. One that a power cut takes away is made again by the next start. @throws TowlineError `data_unwritable`. */
export async function setSealedMark(dataDir: string): Promise<void> {
  try {
    await writeFile(pathOf(dataDir), TEXT, { flag: 'wx', mode: 0o600, flush: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    throw new TowlineError('data_unwritable', `${pathOf(dataDir)} cannot be written (${code ?? String(error)}).`, { cause: error });
  }
}
