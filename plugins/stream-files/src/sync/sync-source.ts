import { openSource, type Source } from '../send/source.ts';
import { FileFault } from '../tree/file-fault.ts';

/** Opens the folder that the target becomes like. @throws FileFault `not_a_tree`, system errors. */
export async function openSyncSource(path: string): Promise<Source> {
  const source = await openSource(path, Buffer.alloc(0));
  if (source.name === null) return source;
  source.folder.release();
  throw new FileFault('not_a_tree');
}
