import type { Readable, Writable } from 'node:stream';
import { TowlineError } from '@towline/protocol/plain';
import { MAX_OPEN_ENTRIES } from '../limits.ts';
import type { EntryOutcome, TransferObserver } from '../observer.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { joinPath } from '../tree/names.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame, type FrameEvent } from '../wire/frames.ts';
import { takeFrames } from '../wire/read-frames.ts';
import {
  decodeFrame,
  type Entry,
  entrySchema,
  type FileEntry,
  type FolderEntry,
  failedSchema,
  type LinkEntry,
  omittedSchema,
  totalSchema,
} from '../wire/schemas.ts';
import { ContentQueue, type PlacedTo } from './content-queue.ts';
import { KnownNames } from './known-names.ts';
import { placeLink } from './place-link.ts';
import { type OpenedFolder, ReceivedFolder } from './received-folder.ts';
import type { Target } from './target.ts';

/** What receiving files works with. */
export interface ReceiveParts {
  readonly input: Readable;
  readonly output: Writable;
  readonly target: Target;
  readonly observer: TransferObserver;
}

/**
 * Receives a file or a tree. The sender announces what there is; this end decides where everything goes, and asks for the content that it
 * wants. Resolves when everything is settled and the sender has ended. @throws TowlineError when the peer breaks the protocol or the
 * stream breaks; PeerFault.
 */
export async function receiveFiles(parts: ReceiveParts): Promise<void> {
  const receiver = new FileReceiver(parts);
  try {
    await receiver.run();
  } finally {
    await receiver.dispose();
  }
}

/** An entry that is not settled. */
interface Settling {
  readonly id: number;
  readonly parent: ReceivedFolder;
  readonly about: Omit<EntryOutcome, 'status' | 'code'>;
}

class FileReceiver {
  readonly #parts: ReceiveParts;
  readonly #writer: FrameWriter;
  readonly #content: ContentQueue;
  readonly #folders = new Map<number, ReceivedFolder>();
  readonly #top: ReceivedFolder;
  #last = 0;
  #open = 0;
  #isListed = false;
  #isFinishing = false;
  #isDone = false;
  /** Whether what becomes of entries is of no interest any more. */
  #isOver = false;
  /** Links and folders that are worked on. */
  readonly #working = new Set<Promise<void>>();

  constructor(parts: ReceiveParts) {
    this.#parts = parts;
    this.#writer = new FrameWriter(parts.output);
    this.#content = new ContentQueue(this.#writer, parts.observer);
    this.#top = ReceivedFolder.top(parts.target.folder, new KnownNames());
  }

  async run(): Promise<void> {
    const { into } = this.#parts.target;
    this.#parts.observer.onReady?.(into);
    this.#writer.sendJson(Frame.ready, { into });
    await takeFrames(this.#parts.input, (frame) => {
      if (this.#isDone) throw new TowlineError('protocol_error', 'The peer goes on after the end of a copy.');
      return this.#take(frame);
    });
    if (!this.#isDone) throw new TowlineError('session_broken');
  }

  async dispose(): Promise<void> {
    this.#isOver = true;
    this.#writer.flush();
    await this.#content.dispose();
    // A folder is closed when nobody works in it any more: its number may become that of another one.
    while (this.#working.size > 0) await Promise.all(this.#working);
    for (const folder of this.#folders.values()) await folder.close();
    await this.#top.close();
  }

  #take({ type, payload }: FrameEvent): Promise<void> | undefined {
    if (type === Frame.data) return this.#content.data(payload);
    if (type === Frame.entry) return this.#announced(decodeFrame(entrySchema, payload));
    if (type === Frame.begin) return this.#content.begin(payload);
    if (type === Frame.end) return this.#content.end(payload);
    if (type === Frame.hole) return this.#content.hole(payload);
    this.#note(type, payload);
    return undefined;
  }

  /** Frames that take no time. */
  #note(type: number, payload: Buffer): void {
    if (type === Frame.leave) this.#folder(payload.readUInt32BE(0)).leave();
    else if (type === Frame.failed) this.#failed(payload);
    else if (type === Frame.omitted) this.#omitted(payload);
    else if (type === Frame.total) this.#parts.observer.onTotal?.(decodeFrame(totalSchema, payload));
    else if (type === Frame.listed) this.#listed();
    else throw new TowlineError('protocol_error', `The peer sent a frame of type ${type}, where files come from it.`);
  }

  /** Something is announced: checked in this turn, in order; what it takes goes on beside what follows. */
  #announced(announced: Entry): undefined {
    const parent = this.#parentOf(announced);
    const isRoot = parent === this.#top;
    const entry = isRoot ? { ...announced, name: this.#parts.target.name ?? announced.name } : announced;
    if (isRoot) this.#parts.observer.onRoot?.(entry.name);
    // A nameless root is the target itself.
    const isSelf = isRoot && entry.kind === 'folder' && entry.name.length === 0;
    // A sender follows what was named: a link in its place leads where the sender likes, and whoever uses the copy follows it.
    const fault = isSelf ? null : isRoot && entry.kind === 'link' ? 'root_link' : parent.faultOf(entry.name);
    this.#last = entry.id;
    this.#open += 1;
    parent.begin();
    if (entry.kind === 'folder') return this.#receiveFolder(entry, parent, { isSelf, fault });
    const about = { path: parent.pathOf(entry.name), kind: entry.kind, size: entry.kind === 'file' ? entry.size : 0 };
    const to = this.#settler({ id: entry.id, parent, about });
    if (fault !== null) to.failed(new FileFault(fault));
    else if (parent.ready !== null) this.#receive(entry, parent.ready, to);
    else {
      const failed = () => to.failed(new FileFault('no_parent'));
      this.#track(parent.opened.then((opened) => this.#receive(entry, opened, to), failed));
    }
  }

  /** @throws TowlineError `protocol_error` for an entry that cannot be where it says. */
  #parentOf({ id, parent }: Entry): ReceivedFolder {
    const holder = id === 1 && parent === 0 ? this.#top : this.#folder(parent);
    const fits = id === this.#last + 1 && holder.isOpen && !this.#isListed;
    if (!fits) throw new TowlineError('protocol_error', 'The peer announces something where it cannot be.');
    if (this.#open >= MAX_OPEN_ENTRIES) throw new TowlineError('protocol_error', 'The peer announces more files at a time than it may.');
    return holder;
  }

  #folder(id: number): ReceivedFolder {
    const folder = this.#folders.get(id);
    if (folder === undefined) throw new TowlineError('protocol_error', 'The peer speaks of a folder that is not being copied.');
    return folder;
  }

  #receive(entry: FileEntry | LinkEntry, opened: OpenedFolder, to: PlacedTo): void {
    if (entry.kind === 'file') this.#content.take(entry, opened, to);
    else this.#track(placeLink(opened.folder, entry).then((placed) => to.done(placed, false), to.failed));
  }

  #receiveFolder(entry: FolderEntry, parent: ReceivedFolder, how: { isSelf: boolean; fault: string | null }): undefined {
    const received = parent.child(entry, how);
    this.#folders.set(entry.id, received);
    const to = this.#settler({ id: entry.id, parent, about: { path: received.path, kind: 'folder' as const, size: 0 } });
    const finish = async () => {
      if (this.#isOver) return;
      try {
        const { folder } = await received.opened;
        // The folder that the user named stays as it is.
        if (!how.isSelf) await folder.setModeAndTime(entry);
        if (received.isDurable) await folder.sync();
      } finally {
        this.#folders.delete(entry.id);
        await received.close();
      }
    };
    const finished = () => finish().then(() => to.done('done', received.isDurable), to.failed);
    void received.complete.then(() => this.#track(finished()));
  }

  /** What is told once what became of an entry. It throws nothing: what is no fault of a file ends everything. */
  #settler(of: Settling): PlacedTo {
    return {
      done: (status, isDurable) => {
        of.parent.isDurable ||= isDurable;
        this.#settle(of, { status });
      },
      failed: (error) => {
        try {
          this.#settle(of, { status: 'failed', code: faultCode(error) });
        } catch (thrown) {
          this.#parts.input.destroy(thrown as Error);
        }
      },
    };
  }

  #settle({ id, parent, about }: Settling, outcome: Pick<EntryOutcome, 'status' | 'code'>): void {
    if (this.#isOver) return;
    this.#open -= 1;
    this.#writer.sendJson(Frame.settled, { id, ...outcome });
    this.#parts.observer.onOutcome?.({ ...about, ...outcome });
    parent.settle();
    this.#finishWhenSettled();
  }

  #track(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  #failed(payload: Buffer): void {
    const { id, code } = decodeFrame(failedSchema, payload);
    this.#content.failed(id, code);
  }

  #omitted(payload: Buffer): void {
    const { parent, name, code } = decodeFrame(omittedSchema, payload);
    const folder = parent === 0 ? this.#top : this.#folder(parent);
    this.#parts.observer.onOmitted?.(parent === 0 ? folder.path : joinPath(folder.path, name), code);
  }

  #listed(): void {
    if (this.#isListed) throw new TowlineError('protocol_error', 'The peer listed everything twice.');
    this.#isListed = true;
    this.#finishWhenSettled();
  }

  #finishWhenSettled(): void {
    if (!this.#isListed || this.#open > 0 || this.#isFinishing) return;
    this.#isFinishing = true;
    const synced = this.#top.isDurable ? this.#parts.target.folder.sync() : Promise.resolve();
    this.#track(
      synced.then(() => {
        this.#isDone = true;
        this.#writer.send(Frame.done);
        this.#writer.flush();
      }),
    );
  }
}
