import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { MAX_DEPTH } from '../limits.ts';
import type { Excludes } from '../tree/excludes.ts';
import { Folder } from '../tree/folder.ts';
import { joinPath } from '../tree/names.ts';

/** 2^32: two sums of that size are a mark of 64 bits. */
const MODULUS = 0x1_0000_0000;

/** What is looked at, and until when. */
export interface Look {
  readonly excludes: Excludes;
  /** Whether it is given up. */
  readonly isOver?: () => boolean;
}

/**
 * A mark that two looks at a tree have in common when nothing changed between: of names, kinds, sizes, modes and times of everything that is
 * not excluded. It holds nothing of the tree in memory. What cannot be looked at is not in it. Null when it was given up.
 */
export async function markOf(path: string, { excludes, isOver = () => false }: Look): Promise<string | null> {
  const sums: Sums = [0, 0];
  const root = await realpath(path)
    .then((real) => Folder.open(real))
    .catch(() => null);
  if (root === null) return 'gone';
  try {
    await markFolder(root, { path: Buffer.alloc(0), depth: 0, excludes, isOver, sums });
  } finally {
    root.release();
  }
  return isOver() ? null : sums.join(':');
}

type Sums = [number, number];

interface Marking extends Required<Look> {
  readonly path: Buffer;
  readonly depth: number;
  readonly sums: Sums;
}

async function markFolder(folder: Folder, marking: Marking): Promise<void> {
  try {
    for await (const name of folder.names()) {
      if (marking.isOver()) return;
      await markName(folder, name, { ...marking, path: joinPath(marking.path, name) });
    }
  } catch {
    // What cannot be read is told by whoever reads the tree.
  }
}

async function markName(folder: Folder, name: Buffer, marking: Marking): Promise<void> {
  const stats = folder.look(name);
  if (stats === null || marking.excludes.isExcluded(marking.path, stats.isDirectory())) return;
  add(marking, stats);
  if (!stats.isDirectory() || marking.depth >= MAX_DEPTH) return;
  const child = await folder.child(name);
  await markFolder(child, { ...marking, depth: marking.depth + 1 }).finally(() => child.release());
}

/** Sums do not depend on the order in which a file system lists. */
function add({ path, sums }: Marking, { mode, size, mtimeMs, ctimeMs, ino }: Stats): void {
  const digest = createHash('sha256').update(path).update(`\0${mode} ${size} ${mtimeMs} ${ctimeMs} ${ino}`).digest();
  sums[0] = (sums[0] + digest.readUInt32BE(0)) % MODULUS;
  sums[1] = (sums[1] + digest.readUInt32BE(4)) % MODULUS;
}
