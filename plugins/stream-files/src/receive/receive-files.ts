import type { Readable, Writable } from 'node:stream';
import { TowlineError } from '@towline/protocol';
import { MAX_OPEN_ENTRIES } from '../limits.ts';
import type { EntryOutcome, TransferObserver } from '../observer.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { joinPath } from '../tree/names.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame, type FrameEvent } from '../wire/frames.ts';
import { readFrames } from '../wire/read-frames.ts';
import {
  decodeFrame,
  type Entry,
  entrySchema,
  type FileEntry,
  type FolderEntry,
  failedSchema,
  omittedSchema,
  totalSchema,
} from '../wire/schemas.ts';
import { ContentQueue } from './content-queue.ts';
import { KnownNames } from './known-names.ts';
import { placeLink } from './place-link.ts';
import { ReceivedFolder } from './received-folder.ts';
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

type Status = 'done' | 'same';

class FileReceiver {
  readonly #parts: ReceiveParts;
  readonly #writer: FrameWriter;
  readonly #content: ContentQueue;
  readonly #folders = new Map<number, ReceivedFolder>();
  readonly #top: ReceivedFolder;
  #last = 0;
  #open = 0;
  #isListed = false;
  #isDone = false;

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
    for await (const frame of readFrames(this.#parts.input)) {
      if (this.#isDone) throw new TowlineError('protocol_error', 'The peer goes on after the end of a copy.');
      const taken = this.#take(frame);
      if (taken !== undefined) await taken;
    }
    if (!this.#isDone) throw new TowlineError('session_broken');
  }

  async dispose(): Promise<void> {
    this.#writer.flush();
    await this.#content.dispose();
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
    const size = entry.kind === 'file' ? entry.size : 0;
    const about = { path: parent.pathOf(entry.name), kind: entry.kind === 'file' ? ('file' as const) : ('link' as const), size };
    this.#settleWhen(this.#receive(entry, parent, fault), { id: entry.id, parent, about });
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

  async #receive(entry: Entry, parent: ReceivedFolder, fault: string | null): Promise<Status> {
    if (fault !== null) throw new FileFault(fault);
    const { folder, partials } = await parent.opened.catch(() => Promise.reject(new FileFault('no_parent')));
    if (entry.kind === 'link') return placeLink(folder, entry);
    return this.#content.receive(entry as FileEntry, folder, partials);
  }

  #receiveFolder(entry: FolderEntry, parent: ReceivedFolder, how: { isSelf: boolean; fault: string | null }): undefined {
    const received = parent.child(entry, how);
    this.#folders.set(entry.id, received);
    const finish = async (): Promise<Status> => {
      await received.complete;
      try {
        const { folder } = await received.opened;
        // The folder that the user named stays as it is.
        await (how.isSelf ? folder.sync() : folder.finish(entry));
        return 'done';
      } finally {
        this.#folders.delete(entry.id);
        await received.close();
      }
    };
    const about = { path: received.path, kind: 'folder' as const, size: 0 };
    this.#settleWhen(finish(), { id: entry.id, parent, about });
  }

  #settleWhen(
    work: Promise<Status>,
    { id, parent, about }: { id: number; parent: ReceivedFolder; about: Omit<EntryOutcome, 'status' | 'code'> },
  ): void {
    const settle = (outcome: Pick<EntryOutcome, 'status' | 'code'>) => {
      this.#open -= 1;
      this.#writer.sendJson(Frame.settled, { id, ...outcome });
      this.#parts.observer.onOutcome?.({ ...about, ...outcome });
      parent.settle();
      return this.#finishWhenSettled();
    };
    work
      .then(
        (status) => settle({ status }),
        (error: unknown) => settle({ status: 'failed', code: faultCode(error) }),
      )
      // What is no fault of a file ends everything.
      .catch((error: Error) => void this.#parts.input.destroy(error));
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

  async #listed(): Promise<void> {
    if (this.#isListed) throw new TowlineError('protocol_error', 'The peer listed everything twice.');
    this.#isListed = true;
    await this.#finishWhenSettled();
  }

  async #finishWhenSettled(): Promise<void> {
    if (!this.#isListed || this.#open > 0) return;
    await this.#parts.target.folder.sync();
    this.#isDone = true;
    this.#writer.send(Frame.done);
    this.#writer.flush();
  }
}
