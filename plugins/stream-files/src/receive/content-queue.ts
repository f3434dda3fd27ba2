import { TowlineError } from '@towline/protocol/plain';
import { FILES_COMPARED_AT_ONCE, FILES_PLACED_AT_ONCE } from '../limits.ts';
import type { TransferObserver } from '../observer.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import type { FrameWriter } from '../wire/frame-writer.ts';
import { decodeLength, encodeNumber, Frame } from '../wire/frames.ts';
import { type IncomingEntry, IncomingFile } from './incoming-file.ts';
import type { PartialsOfFolder } from './partials-of-folder.ts';
import { Turns } from './turns.ts';

/** What became of a file. */
export type Placed = 'done' | 'same';

/** Is told once what became of a file. */
export interface PlacedTo {
  /** It stands in its place; `isDurable` when it is on the disk, but for its name, which is a matter of its folder. */
  done(placed: Placed, isDurable: boolean): void;
  /** It does not. */
  failed(error: unknown): void;
}

/** An open folder, and what earlier copies left in it; null when it was made just now. */
interface ReceivingFolder {
  readonly folder: Folder;
  readonly partials: PartialsOfFolder | null;
}

/** A file that is wanted, until it stands in its place or cannot. */
interface Wanted {
  readonly file: IncomingFile;
  readonly to: PlacedTo;
  hashing: Promise<void> | null;
  isBeingHashed: boolean;
  isDropped: boolean;
}

/** Asks for the content of files and takes it in: it comes in the order in which it was asked for. */
export class ContentQueue {
  readonly #writer: FrameWriter;
  readonly #observer: TransferObserver;
  readonly #comparing = new Turns(FILES_COMPARED_AT_ONCE);
  readonly #placing = new Turns(FILES_PLACED_AT_ONCE);
  #wanted: Wanted[] = [];
  /** What goes on beside the stream. */
  readonly #working = new Set<Promise<void>>();
  #isInterrupted = false;

  constructor(writer: FrameWriter, observer: TransferObserver) {
    this.#writer = writer;
    this.#observer = observer;
  }

  /** Receives one file into a folder. Resolves when it stands there. @throws FileFault, system errors. */
  receive(entry: IncomingEntry, folder: Folder, partials: PartialsOfFolder | null): Promise<Placed> {
    return new Promise((resolve, reject) => this.take(entry, { folder, partials }, { done: resolve, failed: reject }));
  }

  /** Receives one file into a folder. Many small ones are done without a promise between the steps, which would take as long as the steps. */
  take(entry: IncomingEntry, { folder, partials }: ReceivingFolder, to: PlacedTo): void {
    try {
      const small = this.#isInterrupted ? null : IncomingFile.planSmall(entry, folder, partials);
      if (small !== null) this.#want(small, to);
      else this.#track(this.#compare(entry, { folder, partials }, to).catch((error: unknown) => to.failed(error)));
    } catch (error) {
      to.failed(error);
    }
  }

  async #compare(entry: IncomingEntry, { folder, partials }: ReceivingFolder, to: PlacedTo): Promise<void> {
    await this.#comparing.take();
    let hasTurn = true;
    const give = () => {
      if (hasTurn) this.#comparing.give();
      hasTurn = false;
    };
    try {
      const file = await IncomingFile.plan(entry, folder, partials);
      if (this.#isInterrupted) return await file.close().then(() => Promise.reject(new FileFault('interrupted')));
      // It waits for its content without a descriptor.
      if (!file.isOpen) give();
      await new Promise<void>((resolve) =>
        this.#want(file, {
          done: (placed, isDurable) => {
            resolve();
            to.done(placed, isDurable);
          },
          failed: (error) => {
            resolve();
            to.failed(error);
          },
        }),
      );
    } finally {
      give();
    }
  }

  /** The sender begins a file. @throws TowlineError `protocol_error`. */
  begin(payload: Buffer): Promise<void> | undefined {
    const wanted = this.#first(payload.readUInt32BE(0));
    const from = decodeLength(payload, 4);
    wanted.isBeingHashed = false;
    if (wanted.hashing === null && !wanted.file.isOpen) return wanted.file.begin(from);
    return this.#beginOpen(wanted, from);
  }

  async #beginOpen(wanted: Wanted, from: number): Promise<void> {
    await wanted.hashing;
    const { hashedBytes } = wanted.file;
    await wanted.file.begin(from);
    this.#observer.onBytes?.(from - hashedBytes, 'same');
    this.#dropFailed(wanted);
  }

  /** Content of the file that was begun. @throws TowlineError `protocol_error`. */
  data(bytes: Buffer): Promise<void> | undefined {
    const wanted = this.#begun();
    const written = wanted.file.write(bytes);
    this.#observer.onBytes?.(bytes.length, 'moved');
    return written?.then(() => this.#dropFailed(wanted));
  }

  /** A run of zeros in the file that was begun. @throws TowlineError `protocol_error`. */
  async hole(payload: Buffer): Promise<void> {
    const length = decodeLength(payload, 0);
    await this.#begun().file.skip(length, () => this.#writer.isBroken);
    this.#observer.onBytes?.(length, 'moved');
  }

  /** Everything of the first file has come. @throws TowlineError `protocol_error`. */
  end(payload: Buffer): Promise<void> | undefined {
    const wanted = this.#first(payload.readUInt32BE(0));
    if (!wanted.file.isBegun) throw new TowlineError('protocol_error', 'The peer ended a file that it had not begun.');
    this.#next();
    const hash = payload.subarray(4);
    if (!wanted.file.isPlacedAtOnce) return this.#placing.take().then(() => this.#place(wanted, hash));
    try {
      wanted.file.placeAtOnce(hash);
    } catch (error) {
      wanted.to.failed(error);
      return undefined;
    }
    wanted.to.done('done', false);
    return undefined;
  }

  /** Puts a file into its place beside what comes next. */
  #place({ file, to }: Wanted, hash: Buffer): void {
    const placed = file.place(hash).finally(() => this.#placing.give());
    const closed = placed.finally(() => file.close());
    this.#track(
      closed.then(
        (how) => to.done(how, how === 'done'),
        (error: unknown) => to.failed(error),
      ),
    );
  }

  /** The first file does not come, or not to its end. @throws TowlineError `protocol_error`. */
  failed(id: number, code: string): void {
    const wanted = this.#first(id);
    this.#next();
    wanted.isBeingHashed = false;
    // What failed here first is what happened: the sender only heard of it.
    if (wanted.file.fault === null) wanted.file.fail(code);
    this.#close(wanted, wanted.file.fault ?? code);
  }

  /** Nothing more comes: what waits for content, or asks for it from now on, fails as `interrupted`. */
  interrupt(): void {
    this.#isInterrupted = true;
    for (const wanted of this.#wanted.splice(0)) {
      wanted.isBeingHashed = false;
      this.#close(wanted, 'interrupted');
    }
  }

  /** Nothing more comes. Resolves when no file is worked on any more, and everything is closed. */
  async dispose(): Promise<void> {
    this.interrupt();
    while (this.#working.size > 0) await Promise.all(this.#working);
  }

  #close({ file, to }: Wanted, code: string): void {
    this.#track(file.close().then(() => to.failed(new FileFault(code))));
  }

  /** Whoever is told what became of a file throws nothing. */
  #track(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  #want(file: IncomingFile, to: PlacedTo): void {
    const wanted: Wanted = { file, to, hashing: null, isBeingHashed: false, isDropped: false };
    this.#wanted.push(wanted);
    this.#writer.sendJson(Frame.want, { id: file.entry.id, ...file.want });
    if (file.blocks === 1 || this.#wanted.length === 1) this.#hash(wanted);
  }

  /** Tells the hashes of what is there. Of a large file only when it is its turn, so that few wait at the sender. */
  #hash(wanted: Wanted): void {
    if (wanted.hashing !== null || wanted.file.blocks === 0) return;
    wanted.isBeingHashed = true;
    wanted.hashing = this.#sendHashes(wanted).catch((error: unknown) => {
      wanted.file.fail(faultCode(error));
      this.#dropFailed(wanted);
    });
    // What broke the stream is told by whoever reads it.
    wanted.hashing.catch(() => {});
  }

  async #sendHashes(wanted: Wanted): Promise<void> {
    const { file } = wanted;
    for (let block = 0; block < file.blocks && wanted.isBeingHashed; block += 1) {
      const before = file.hashedBytes;
      const hash = await file.nextBlockHash();
      // What of it differs is taken back when the sender begins.
      this.#observer.onBytes?.(file.hashedBytes - before, 'same');
      if (!wanted.isBeingHashed) return;
      this.#writer.send(Frame.blocks, Buffer.concat([encodeNumber(file.entry.id), hash]));
      await this.#writer.room();
    }
  }

  #dropFailed(wanted: Wanted): void {
    if (wanted.file.fault === null || wanted.isDropped) return;
    wanted.isDropped = true;
    this.#writer.send(Frame.drop, encodeNumber(wanted.file.entry.id));
  }

  #next(): void {
    this.#wanted.shift();
    const first = this.#wanted[0];
    if (first !== undefined) this.#hash(first);
  }

  #first(id: number): Wanted {
    const first = this.#wanted[0];
    if (first?.file.entry.id !== id) throw new TowlineError('protocol_error', 'The peer sent a file that it was not asked for now.');
    return first;
  }

  #begun(): Wanted {
    const first = this.#wanted[0];
    if (!first?.file.isBegun) throw new TowlineError('protocol_error', 'The peer sent content that it was not asked for.');
    return first;
  }
}
