import type { Readable, Writable } from 'node:stream';
import { TowlineError } from '@towline/protocol/plain';
import { FILES_OPENED_AHEAD, MAX_WAITING_HASHES } from '../limits.ts';
import type { Removal, TransferObserver } from '../observer.ts';
import { Coverage, type CoveredFolder, TREE } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame, type FrameEvent } from '../wire/frames.ts';
import { takeFrames } from '../wire/read-frames.ts';
import { decodeFrame, readySchema, removedSchema, settledSchema, wantSchema } from '../wire/schemas.ts';
import { announceTree } from './announce-tree.ts';
import { countTree } from './count-tree.ts';
import { OpenEntries } from './open-entries.ts';
import { isSmall } from './read-file.ts';
import { sendContent, sendSmall } from './send-content.ts';
import type { Source } from './source.ts';
import { WantedFile } from './wanted-file.ts';

/** What sending files works with. */
export interface SendParts {
  readonly input: Readable;
  readonly output: Writable;
  readonly source: Source;
  /** Whether all is counted beforehand. */
  readonly count: boolean;
  /** Of a sync: what is left out without a word. All names come sorted then. */
  readonly excludes?: Excludes;
  /** Of a sync: what is announced, when the receiver knows how to take less than the whole tree. */
  readonly coverage?: Coverage;
  /** Of a sync: which folder the target must be. */
  readonly onto?: string | undefined;
  readonly observer: TransferObserver;
  /** A file was sent whole: its path below the root, and the bytes that went over the line; null when it failed. */
  readonly onSent?: (path: Buffer, moved: number | null) => void;
}

/**
 * Sends a file or a tree, of which the receiver asks for what it wants. Resolves when everything is settled.
 * @throws TowlineError when the peer breaks the protocol or the stream breaks.
 */
export async function sendFiles(parts: SendParts): Promise<void> {
  const sender = new FileSender(parts);
  try {
    await sender.run();
  } finally {
    await sender.dispose();
  }
}

class FileSender {
  readonly #parts: SendParts;
  readonly #writer: FrameWriter;
  readonly #open = new OpenEntries();
  readonly #over = new AbortController();
  /** Wanted files in the order in which they are sent. The first one is being sent. */
  #wanted: WantedFile[] = [];
  readonly #byNumber = new Map<number, WantedFile>();
  #onWanted: (() => void) | null = null;
  #onCompared: (() => void) | null = null;
  /** How much of the source is announced: of a sync it is known when the receiver is ready. */
  readonly #covered: Promise<CoveredFolder>;
  #onReady: (covered: CoveredFolder) => void = () => {};
  #isListed = false;

  constructor(parts: SendParts) {
    this.#parts = parts;
    this.#writer = new FrameWriter(parts.output);
    this.#covered = new Promise((resolve) => (this.#onReady = resolve));
    if (parts.excludes === undefined) this.#onReady(TREE);
  }

  /** Whatever fails first is what happened. The others end with the stream, or when the process does. */
  async run(): Promise<void> {
    const listening = this.#listen();
    const work = Promise.all([this.#announce(), this.#send()]);
    if (this.#parts.count) this.#count().catch(() => {});
    work.catch(() => {});
    await Promise.race([listening, work.then(() => listening)]);
  }

  async dispose(): Promise<void> {
    this.#over.abort();
    this.#onWanted?.();
    this.#onCompared?.();
    this.#open.clear();
    await Promise.all(this.#wanted.map((wanted) => wanted.close()));
    this.#parts.source.folder.release();
    this.#writer.flush();
  }

  async #announce(): Promise<void> {
    const onOmitted = (path: Buffer, code: string) => this.#parts.observer.onOmitted?.(path, code);
    const { source, excludes, onto } = this.#parts;
    const covered = await this.#covered;
    await announceTree({ writer: this.#writer, open: this.#open, excludes, covered, onto, onOmitted }, source);
    this.#isListed = true;
  }

  async #count(): Promise<void> {
    if (!(await this.#covered).isTree) return;
    const total = await countTree(this.#parts.source, { signal: this.#over.signal, excludes: this.#parts.excludes });
    if (total === null) return;
    this.#parts.observer.onTotal?.(total);
    this.#writer.sendJson(Frame.total, total);
  }

  /** Sends what is wanted, one file after the other, with the next ones open already. */
  async #send(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const wanted = this.#wanted[0];
      if (wanted === undefined) {
        await new Promise<void>((resolve) => (this.#onWanted = resolve));
        continue;
      }
      this.#openNext();
      if (wanted.isSentAtOnce && !this.#writer.hasRoom) await this.#writer.room();
      const parts = { writer: this.#writer, observer: this.#parts.observer };
      const moved = wanted.isSentAtOnce ? sendSmall(parts, wanted) : await sendContent(parts, wanted);
      this.#parts.onSent?.(wanted.entry.path, moved);
      this.#wanted.shift();
      this.#byNumber.delete(wanted.entry.id);
    }
  }

  #openNext(): void {
    for (let at = 1; at <= FILES_OPENED_AHEAD; at += 1) {
      const next = this.#wanted[at];
      if (next !== undefined && !isSmall(next.file)) void next.open();
    }
  }

  async #listen(): Promise<void> {
    let isDone = false;
    await takeFrames(this.#parts.input, (frame) => {
      isDone = frame.type === Frame.done;
      if (isDone) return false;
      this.#take(frame);
      return frame.type === Frame.blocks ? this.#fewerHashes() : undefined;
    });
    if (!isDone) throw new TowlineError('session_broken');
    this.#requireSettled();
  }

  #take({ type, payload }: FrameEvent): void {
    if (type === Frame.want) this.#want(payload);
    else if (type === Frame.blocks) this.#byNumber.get(payload.readUInt32BE(0))?.addHashes(payload.subarray(4));
    else if (type === Frame.drop) this.#byNumber.get(payload.readUInt32BE(0))?.drop();
    else if (type === Frame.settled) this.#settle(payload);
    else if (type === Frame.removed && this.#parts.excludes !== undefined) this.#parts.observer.onRemoved?.(removalOf(payload));
    else if (type === Frame.ready) this.#ready(payload);
    else throw new TowlineError('protocol_error', `The peer sent a frame of type ${type}, where files go to it.`);
  }

  #ready(payload: Buffer): void {
    const { into, parts, only } = decodeFrame(readySchema, payload);
    this.#parts.observer.onReady?.(into);
    const asked = only === undefined ? Coverage.whole() : Coverage.of(only);
    this.#onReady(parts === true ? (this.#parts.coverage ?? asked).root : TREE);
  }

  #want(payload: Buffer): void {
    const want = decodeFrame(wantSchema, payload);
    const wanted = new WantedFile(this.#open.want(want.id), { ...want, onCompared: () => this.#onCompared?.() });
    this.#byNumber.set(want.id, wanted);
    this.#wanted.push(wanted);
    this.#onWanted?.();
    this.#onWanted = null;
  }

  #settle(payload: Buffer): void {
    const { id, status, code, change, root } = decodeFrame(settledSchema, payload);
    if (this.#byNumber.get(id)?.isSent === false) throw new TowlineError('protocol_error', 'The peer settled a file before its end.');
    const { kind, path, file } = this.#open.settle(id);
    if (root !== undefined) this.#parts.observer.onTargetRoot?.(root);
    const more = { ...(code === undefined ? {} : { code }), ...(change === undefined ? {} : { change }) };
    this.#parts.observer.onOutcome?.({ path, kind, size: file?.size ?? 0, status, ...more });
  }

  /** Hashes are taken in as fast as they are compared. */
  #fewerHashes(): Promise<void> | undefined {
    return this.#waitingHashes() > MAX_WAITING_HASHES ? this.#hashesCompared() : undefined;
  }

  async #hashesCompared(): Promise<void> {
    while (this.#waitingHashes() > MAX_WAITING_HASHES && !this.#over.signal.aborted)
      await new Promise<void>((resolve) => (this.#onCompared = resolve));
  }

  #waitingHashes(): number {
    let count = 0;
    for (const wanted of this.#wanted) count += wanted.waitingHashes;
    return count;
  }

  #requireSettled(): void {
    if (!this.#isListed || !this.#open.isEmpty)
      throw new TowlineError('protocol_error', 'The peer ended a copy before everything was settled.');
  }
}

function removalOf(payload: Buffer): Removal {
  const { path, kind, code } = decodeFrame(removedSchema, payload);
  return { path, kind, ...(code === undefined ? {} : { code }) };
}
