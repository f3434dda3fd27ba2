import type { Readable, Writable } from 'node:stream';
import { openSyncSource } from '../sync/sync-source.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame } from '../wire/frames.ts';
import { treeChanges } from './tree-changes.ts';

/** What telling of changes works with. */
export interface ChangesParts {
  readonly input: Readable;
  readonly output: Writable;
  readonly path: string;
  readonly excludes: Excludes;
}

/** Tells the peer when and where it should read a tree, until it ends the stream. @throws FileFault `not_a_tree`, system errors when there is none. */
export async function sendChanges({ input, output, path, excludes }: ChangesParts): Promise<void> {
  (await openSyncSource(path)).folder.release();
  const over = new AbortController();
  for (const event of ['end', 'close', 'error']) input.once(event, () => over.abort());
  input.resume();
  const writer = new FrameWriter(output);
  for await (const { isComplete, coverage, isLook } of treeChanges({ path, excludes, signal: over.signal })) {
    const only = coverage.toText();
    writer.sendJson(Frame.changed, { complete: isComplete, ...(only === null ? {} : { only }), ...(isLook ? { look: true } : {}) });
    await writer.room();
  }
}
