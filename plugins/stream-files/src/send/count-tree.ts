import { faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import type { Source } from './source.ts';

/** Files and bytes of a tree, as far as it can be read; null when the signal aborted before. It runs beside the copy, for a time left. */
export async function countTree(source: Source, signal: AbortSignal): Promise<{ files: number; bytes: number } | null> {
  const total = { files: 0, bytes: 0 };
  if (source.name === null) await countFolder(source.folder, total, signal);
  else await countName(source.folder, source.name, { total, signal });
  return signal.aborted ? null : total;
}

interface Counting {
  readonly total: { files: number; bytes: number };
  readonly signal: AbortSignal;
}

async function countFolder(folder: Folder, total: Counting['total'], signal: AbortSignal): Promise<void> {
  for await (const name of folder.names()) {
    if (signal.aborted) return;
    await countName(folder, name, { total, signal });
  }
}

async function countName(folder: Folder, name: Buffer, { total, signal }: Counting): Promise<void> {
  try {
    const stats = folder.look(name);
    if (stats?.isFile()) {
      total.files += 1;
      total.bytes += stats.size;
    }
    if (!stats?.isDirectory()) return;
    const child = await folder.child(name);
    await countFolder(child, total, signal).finally(() => child.release());
  } catch (error) {
    // What cannot be read is told when it is its turn to be announced.
    faultCode(error);
  }
}
