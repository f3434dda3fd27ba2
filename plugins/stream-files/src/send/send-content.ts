import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { BLOCK_BYTES } from '../limits.ts';
import type { TransferObserver } from '../observer.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import type { FrameWriter } from '../wire/frame-writer.ts';
import { blocksOf, encodeBegin, encodeLength, encodeNumber, Frame } from '../wire/frames.ts';
import { readBlock, readPieces, requireSame, splitZeros } from './read-file.ts';
import type { WantedFile } from './wanted-file.ts';

/** What sending works with. */
export interface ContentParts {
  readonly writer: FrameWriter;
  readonly observer: TransferObserver;
}

/** Sends one wanted file: where it begins, its content, its hash; or why not. Answers the bytes that went over the line, null after a failure. */
export async function sendContent(parts: ContentParts, wanted: WantedFile): Promise<number | null> {
  const { writer } = parts;
  try {
    const opened = await wanted.open();
    if (wanted.isDropped) throw new FileFault('dropped');
    if ('content' in opened) return await sendSmall(parts, wanted, opened.content);
    return await sendLarge(parts, wanted, opened.handle);
  } catch (error) {
    const code = faultCode(error);
    wanted.isSent = true;
    writer.sendJson(Frame.failed, { id: wanted.entry.id, code });
    return null;
  } finally {
    await wanted.close();
    await writer.room();
  }
}

async function sendSmall({ writer, observer }: ContentParts, wanted: WantedFile, content: Buffer): Promise<number> {
  const { entry } = wanted;
  await writer.room();
  writer.send(Frame.begin, encodeBegin(entry.id, 0));
  if (content.length > 0) writer.send(Frame.data, content);
  sendEnd(writer, wanted, createHash('sha256').update(content));
  observer.onBytes?.(content.length, 'moved');
  return content.length;
}

async function sendLarge({ writer, observer }: ContentParts, wanted: WantedFile, handle: FileHandle): Promise<number> {
  const { entry, file } = wanted;
  const { from, hash } = await compare(wanted, handle);
  observer.onBytes?.(from, 'same');
  writer.send(Frame.begin, encodeBegin(entry.id, from));
  for await (const piece of readPieces(handle, from, file.size)) {
    if (wanted.isDropped) throw new FileFault('dropped');
    hash.update(piece);
    await writer.room();
    sendPiece(writer, piece, file.sparse);
    observer.onBytes?.(piece.length, 'moved');
  }
  await requireSame(handle, file);
  sendEnd(writer, wanted, hash);
  return file.size - from;
}

function sendEnd(writer: FrameWriter, wanted: WantedFile, hash: Hash): void {
  wanted.isSent = true;
  writer.send(Frame.end, Buffer.concat([encodeNumber(wanted.entry.id), hash.digest()]));
}

function sendPiece(writer: FrameWriter, piece: Buffer, isSparse: boolean): void {
  if (!isSparse) return writer.send(Frame.data, piece);
  for (const { zeros, bytes } of splitZeros(piece)) {
    if (zeros) writer.send(Frame.hole, encodeLength(bytes.length));
    else writer.send(Frame.data, bytes);
  }
}

/** How much of the file the receiver has as it is here, and the hash of that part. */
async function compare(wanted: WantedFile, handle: FileHandle): Promise<{ from: number; hash: Hash }> {
  const hash = createHash('sha256');
  for (let block = 0; block < blocksOf(wanted.have); block += 1) {
    const [theirs, ours] = await Promise.all([wanted.nextHash(), readBlock(handle, block, wanted.have)]);
    if (theirs === null) throw new FileFault('dropped');
    if (!ours.hash.equals(theirs)) {
      wanted.forgetHashes();
      return wanted.whole ? { from: 0, hash: createHash('sha256') } : { from: block * BLOCK_BYTES, hash };
    }
    hash.update(ours.bytes);
  }
  return { from: wanted.have, hash };
}
