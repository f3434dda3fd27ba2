import type { Stats } from 'node:fs';
import { FileFault } from '../tree/file-fault.ts';
import type { PartialOf } from '../tree/names.ts';

/** A folder that stands aside while what replaces it takes its place. */
export interface Aside {
  /** Puts it back. */
  putBack(): Promise<void>;
  /** Removes it: its place is taken. */
  remove(): Promise<void>;
}

/** What takes the place of something. */
export interface Replacing {
  /** Moves a folder aside that stands there, in the last moment. */
  readonly giveWay?: (() => Promise<Aside>) | undefined;
}

/** Takes a place by a rename; a folder that gives way is gone only when that was done. @throws FileFault, system errors. */
export async function takePlace({ giveWay }: Replacing, rename: () => void): Promise<void> {
  const aside = await giveWay?.();
  try {
    rename();
  } catch (error) {
    await aside?.putBack();
    throw error;
  }
  await aside?.remove();
}

/**
 * Makes sure that what stands under a name may be replaced by a file or a link. A copy replaces files and links only: `/dev/null` as a
 * target must stay what it is, also for root. A sync makes kinds equal too. @throws FileFault `EISDIR`, `no_file`.
 */
export function requireReplaceable(there: Stats | null, origin: PartialOf['origin']): void {
  if (there?.isDirectory()) throw new FileFault('EISDIR');
  const isReplaced = there === null || there.isFile() || there.isSymbolicLink() || origin === 'sync';
  if (!isReplaced) throw new FileFault('no_file');
}
