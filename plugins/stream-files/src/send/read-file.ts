import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { BLOCK_BYTES, FRAMES_READ_AT_ONCE, MAX_DATA_PAYLOAD, SMALL_FILE_BYTES } from '../limits.ts';
import { FileFault } from '../tree/file-fault.ts';
import { FRAME_HEAD } from '../wire/frames.ts';
import type { OpenEntry } from './open-entries.ts';

/** Zeros to compare with. */
const ZEROS = Buffer.alloc(65_536);

type File = NonNullable<OpenEntry['file']>;

/** Opens a file that was announced. @throws FileFault `changed`, system errors. */
export async function openFile(file: File): Promise<FileHandle> {
  const handle = await file.folder.openFile(file.name, constants.O_RDONLY);
  try {
    await requireSame(handle, file);
    return handle;
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
}

/** Whether a file is sent at once. */
export function isSmall({ size }: File): boolean {
  return size <= SMALL_FILE_BYTES;
}

/**
 * Reads a small file whole, in this turn: to hand each step to a thread takes several times as long. `into` has one byte more than the
 * file: that shows that it grew. @throws FileFault, system errors.
 */
export function readSmall(file: File, into: Buffer): void {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const descriptor = openSync(file.folder.at(file.name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    requireSameStats(fstatSync(descriptor), file);
    let filled = 0;
    for (let read = -1; read !== 0 && filled < file.size; filled += read)
      read = readSync(descriptor, into, filled, into.length - filled, filled);
    if (filled !== file.size) throw new FileFault('changed');
    requireSameStats(fstatSync(descriptor), file);
  } finally {
    closeSync(descriptor);
  }
}

/** Makes sure that a file is still what was announced. @throws FileFault `changed`. */
export async function requireSame(handle: FileHandle, file: File): Promise<void> {
  requireSameStats(await handle.stat(), file);
}

function requireSameStats(stats: Stats, { size, mtimeMs }: File): void {
  if (!stats.isFile()) throw new FileFault('special');
  if (stats.size !== size || stats.mtimeMs !== mtimeMs) throw new FileFault('changed');
}

/** Content of a file as it was read: pieces of the size of a frame. */
export interface ReadPart {
  readonly pieces: readonly Buffer[];
  /** All of them, each behind room for the head of a frame. */
  readonly framed: Buffer;
  readonly length: number;
}

/** The content from a position on; the next part is read while the last one is used. @throws FileFault `changed`. */
export async function* readParts(
  handle: FileHandle,
  from: number,
  { size, sparse }: Pick<File, 'size' | 'sparse'>,
): AsyncGenerator<ReadPart> {
  // With its head a frame fills what a session carries in one piece. Where holes are looked for, pieces stay aligned with those.
  const pieceBytes = sparse ? MAX_DATA_PAYLOAD : MAX_DATA_PAYLOAD - FRAME_HEAD;
  const start = (position: number) => {
    const part = readPart(handle, position, { length: Math.min(FRAMES_READ_AT_ONCE * pieceBytes, size - position), pieceBytes });
    // Whoever stops early does not wait for it.
    part.catch(() => {});
    return part;
  };
  let next = from < size ? start(from) : null;
  for (let position = from; next !== null; ) {
    const part: ReadPart = await next;
    position += part.length;
    next = position < size ? start(position) : null;
    yield part;
  }
}

async function readPart(
  handle: FileHandle,
  position: number,
  { length, pieceBytes }: { readonly length: number; readonly pieceBytes: number },
): Promise<ReadPart> {
  const framed = Buffer.allocUnsafeSlow(length + Math.ceil(length / pieceBytes) * FRAME_HEAD);
  const pieces: Buffer[] = [];
  for (let at = 0; at < framed.length; at += FRAME_HEAD + pieceBytes)
    pieces.push(framed.subarray(at + FRAME_HEAD, at + FRAME_HEAD + pieceBytes));
  const { bytesRead } = await handle.readv(pieces, position);
  if (bytesRead < length) await readRest(handle, position, { pieces, bytesRead });
  return { pieces, framed, length };
}

/** Reads what one read left out. @throws FileFault `changed` where the file ends. */
async function readRest(
  handle: FileHandle,
  position: number,
  { pieces, bytesRead }: { readonly pieces: readonly Buffer[]; readonly bytesRead: number },
): Promise<void> {
  let at = 0;
  for (const piece of pieces) {
    const filled = Math.min(piece.length, Math.max(0, bytesRead - at));
    const rest = piece.subarray(filled);
    if (rest.length > 0 && (await readFully(handle, rest, position + at + filled)) < rest.length) throw new FileFault('changed');
    at += piece.length;
  }
}

async function readPiece(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  if ((await readFully(handle, buffer, position)) < length) throw new FileFault('changed');
  return buffer;
}

/** Reads until the buffer is full or the file ends; answers how much it was. */
export async function readFully(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** One block of the first `have` bytes of a file, and its hash. */
export async function readBlock(
  handle: FileHandle,
  block: number,
  have: number,
): Promise<{ readonly bytes: Buffer; readonly hash: Buffer }> {
  const position = block * BLOCK_BYTES;
  const bytes = await readPiece(handle, position, Math.min(BLOCK_BYTES, have - position));
  return { bytes, hash: createHash('sha256').update(bytes).digest() };
}

/** A piece cut into runs: of zeros, counted in whole blocks of 64 KiB, and of everything else. */
export function* splitZeros(piece: Buffer): Generator<{ readonly zeros: boolean; readonly bytes: Buffer }> {
  let start = 0;
  let zeros = false;
  for (let at = 0; at < piece.length; at += ZEROS.length) {
    const part = piece.subarray(at, at + ZEROS.length);
    const isZero = part.equals(ZEROS.subarray(0, part.length));
    if (isZero !== zeros && at > start) yield { zeros, bytes: piece.subarray(start, at) };
    if (isZero !== zeros) start = at;
    zeros = isZero;
  }
  if (piece.length > start) yield { zeros, bytes: piece.subarray(start) };
}

/** A hash of a whole file. */
export function newHash(): Hash {
  return createHash('sha256');
}
