import { MAX_DEPTH } from '../limits.ts';
import type { Excludes } from '../tree/excludes.ts';
import { faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import { joinPath } from '../tree/names.ts';
import type { Source } from './source.ts';

/** Files and bytes of a tree, as far as it can be read; null when the signal aborted before. It runs beside the copy, for a time left. */
export async function countTree(
  source: Source,
  { signal, excludes }: Pick<Counting, 'signal' | 'excludes'>,
): Promise<{ files: number; bytes: number } | null> {
  const total = { files: 0, bytes: 0 };
  const counting = { total, signal, excludes };
  if (source.name === null) await countFolder(source.folder, Buffer.alloc(0), counting);
  else await countName({ folder: source.folder, path: Buffer.alloc(0), depth: 0 }, source.name, counting);
  return signal.aborted ? null : total;
}

interface Counting {
  readonly total: { files: number; bytes: number };
  readonly signal: AbortSignal;
  /** What is not announced. */
  readonly excludes?: Excludes | undefined;
}

interface Counted {
  readonly folder: Folder;
  readonly path: Buffer;
  readonly depth: number;
}

async function countFolder(folder: Folder, path: Buffer, counting: Counting, depth = 0): Promise<void> {
  // What lies deeper is not sent, and each open folder takes a descriptor.
  if (depth > MAX_DEPTH) return;
  for await (const name of folder.names()) {
    if (counting.signal.aborted) return;
    await countName({ folder, path, depth }, name, counting);
  }
}

async function countName({ folder, path, depth }: Counted, name: Buffer, counting: Counting): Promise<void> {
  const { total, excludes } = counting;
  try {
    const stats = folder.look(name);
    const below = joinPath(path, name);
    if (stats !== null && excludes?.isExcluded(below, stats.isDirectory())) return;
    if (stats?.isFile()) {
      total.files += 1;
      total.bytes += stats.size;
    }
    if (!stats?.isDirectory()) return;
    const child = await folder.child(name);
    await countFolder(child, below, counting, depth + 1).finally(() => child.release());
  } catch (error) {
    // What cannot be read is told when it is its turn to be announced.
    faultCode(error);
  }
}
