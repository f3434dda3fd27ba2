import { mkdir } from 'node:fs/promises';
import { FileFault } from '../tree/file-fault.ts';
import { Folder, kindOf } from '../tree/folder.ts';

/** How a target is opened. */
export interface TargetRules {
  readonly dryRun: boolean;
  /** Whether it was there before: something else than that is not taken for it. */
  readonly mustExist: boolean;
}

/**
 * Opens the folder that becomes like the source; made when there is nothing, except in a dry run: null then. Links in the path that the
 * user named are followed. @throws FileFault `not_a_tree`, `no_target`, `other_root`, system errors.
 */
export async function openSyncTarget(path: string, { dryRun, mustExist }: TargetRules): Promise<Folder | null> {
  const kind = await kindOf(path);
  if (kind === 'other') throw new FileFault('not_a_tree');
  if (kind === null && mustExist) throw new FileFault('other_root');
  if (kind === null && dryRun) return null;
  if (kind === null) {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new FileFault('no_target');
      if (error.code !== 'EEXIST') throw error;
    });
  }
  return Folder.open(path);
}
