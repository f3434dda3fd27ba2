import type { Stats } from 'node:fs';
import { FileFault } from '../tree/file-fault.ts';
import type { PartialOf } from '../tree/names.ts';

/**
 * Makes sure that what stands under a name may be replaced by a file or a link. A copy replaces files and links only: `/dev/null` as a
 * target must stay what it is, also for root. A sync makes kinds equal too. @throws FileFault `EISDIR`, `no_file`.
 */
export function requireReplaceable(there: Stats | null, origin: PartialOf['origin']): void {
  if (there?.isDirectory()) throw new FileFault('EISDIR');
  const isReplaced = there === null || there.isFile() || there.isSymbolicLink() || origin === 'sync';
  if (!isReplaced) throw new FileFault('no_file');
}
