import { createHash, type Hash, hash as hashOf } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { BLOCK_BYTES, HASH_BYTES } from '../limits.ts';
import type { TransferObserver } from '../observer.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import type { FrameWriter } from '../wire/frame-writer.ts';
import { blocksOf, encodeBegin, encodeLength, encodeNumber, FRAME_HEAD, Frame, headOf, writeLength } from '../wire/frames.ts';
import { type ReadPart, readBlock, readParts, readSmall, requireSame, splitZeros } from './read-file.ts';
import type { WantedFile } from './wanted-file.ts';

/** What sending works with. */
export interface ContentParts {
  readonly writer: FrameWriter;
  readonly observer: TransferObserver;
}

/** Sends one wanted file that is opened for it: where it begins, its content, its hash; or why not. Answers the bytes that went over the line, null after a failure. */
export async function sendContent(parts: ContentParts, wanted: WantedFile): Promise<number | null> {
  const { writer } = parts;
  try {
    const handle = await wanted.open();
    if (wanted.isDropped) throw new FileFault('dropped');
    return await sendLarge(parts, wanted, handle);
  } catch (error) {
    return sendFailed(writer, wanted, error);
  } finally {
    await wanted.close();
    await writer.room();
  }
}

/** The same in this turn, for a file that {@link WantedFile.isSentAtOnce}, when the writer has room. */
export function sendSmall({ writer, observer }: ContentParts, wanted: WantedFile): number | null {
  try {
    if (wanted.isDropped) throw new FileFault('dropped');
    writer.advance(writeSmall(wanted, writer.reserve(SMALL_FRAMES + wanted.file.size)));
  } catch (error) {
    return sendFailed(writer, wanted, error);
  }
  wanted.isSent = true;
  observer.onBytes?.(wanted.file.size, 'moved');
  return wanted.file.size;
}

/** Bytes of the frames of a small file, beside its content. */
const BEGIN_BYTES = FRAME_HEAD + 12;
const END_BYTES = FRAME_HEAD + 4 + HASH_BYTES;
const SMALL_FRAMES = BEGIN_BYTES + FRAME_HEAD + END_BYTES;

/** Writes the frames of a small file, with the content where it is sent from. Answers their length. @throws FileFault, system errors. */
function writeSmall({ entry: { id }, file }: WantedFile, into: Buffer): number {
  into.writeUInt32BE(headOf(Frame.begin, BEGIN_BYTES - FRAME_HEAD));
  into.writeUInt32BE(id, FRAME_HEAD);
  writeLength(into, 0, FRAME_HEAD + 4);
  const from = BEGIN_BYTES + (file.size === 0 ? 0 : FRAME_HEAD);
  if (file.size > 0) into.writeUInt32BE(headOf(Frame.data, file.size), BEGIN_BYTES);
  const end = from + file.size;
  // The byte more that is read is where the end comes then.
  readSmall(file, into.subarray(from, end + 1));
  into.writeUInt32BE(headOf(Frame.end, END_BYTES - FRAME_HEAD), end);
  into.writeUInt32BE(id, end + FRAME_HEAD);
  hashOf('sha256', into.subarray(from, end), 'buffer').copy(into, end + FRAME_HEAD + 4);
  return end + END_BYTES;
}

function sendFailed(writer: FrameWriter, wanted: WantedFile, error: unknown): null {
  const code = faultCode(error);
  wanted.isSent = true;
  writer.sendJson(Frame.failed, { id: wanted.entry.id, code });
  return null;
}

async function sendLarge({ writer, observer }: ContentParts, wanted: WantedFile, handle: FileHandle): Promise<number> {
  const { entry, file } = wanted;
  const { from, hash } = await compare(wanted, handle, observer);
  writer.send(Frame.begin, encodeBegin(entry.id, from));
  for await (const part of readParts(handle, from, file)) {
    if (wanted.isDropped) throw new FileFault('dropped');
    for (const piece of part.pieces) hash.update(piece);
    if (!writer.hasRoom) await writer.room();
    if (file.sparse) for (const piece of part.pieces) sendPiece(writer, piece);
    else sendPart(writer, part);
    observer.onBytes?.(part.length, 'moved');
  }
  await requireSame(handle, file);
  sendEnd(writer, wanted, hash);
  return file.size - from;
}

function sendEnd(writer: FrameWriter, wanted: WantedFile, hash: Hash): void {
  wanted.isSent = true;
  writer.send(Frame.end, Buffer.concat([encodeNumber(wanted.entry.id), hash.digest()]));
}

function sendPart(writer: FrameWriter, { pieces, framed }: ReadPart): void {
  let at = 0;
  for (const { length } of pieces) {
    framed.writeUInt32BE(headOf(Frame.data, length), at);
    at += FRAME_HEAD + length;
  }
  writer.write(framed);
}

function sendPiece(writer: FrameWriter, piece: Buffer): void {
  for (const { zeros, bytes } of splitZeros(piece)) {
    if (zeros) writer.send(Frame.hole, encodeLength(bytes.length));
    else writer.send(Frame.data, bytes);
  }
}

/** How much of the file the receiver has as it is here, and the hash of that part. It is told block by block: a large one takes minutes. */
async function compare(wanted: WantedFile, handle: FileHandle, observer: TransferObserver): Promise<{ from: number; hash: Hash }> {
  const hash = createHash('sha256');
  for (let block = 0; block < blocksOf(wanted.have); block += 1) {
    const [theirs, ours] = await Promise.all([wanted.nextHash(), readBlock(handle, block, wanted.have)]);
    if (theirs === null) throw new FileFault('dropped');
    if (!ours.hash.equals(theirs)) {
      wanted.forgetHashes();
      if (!wanted.whole) return { from: block * BLOCK_BYTES, hash };
      observer.onBytes?.(-block * BLOCK_BYTES, 'same');
      return { from: 0, hash: createHash('sha256') };
    }
    hash.update(ours.bytes);
    observer.onBytes?.(ours.bytes.length, 'same');
  }
  return { from: wanted.have, hash };
}
