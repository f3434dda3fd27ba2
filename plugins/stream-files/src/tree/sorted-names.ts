import { MAX_SORTED_NAMES } from '../limits.ts';
import { FileFault } from './file-fault.ts';
import type { Folder } from './folder.ts';

/** The names in a folder, in the order of their bytes. @throws FileFault `too_many`, system errors. */
export async function sortedNames(folder: Folder): Promise<Buffer[]> {
  const names: Buffer[] = [];
  for await (const name of folder.names()) {
    if (names.length >= MAX_SORTED_NAMES) throw new FileFault('too_many');
    names.push(name);
  }
  return names.sort(Buffer.compare);
}
