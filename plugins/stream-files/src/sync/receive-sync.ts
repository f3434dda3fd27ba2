import type { Readable, Writable } from 'node:stream';
import { TowlineError } from '@towline/protocol/plain';
import { MAX_DEPTH, MAX_OPEN_ENTRIES, MAX_SHOWN_PATH } from '../limits.ts';
import type { EntryOutcome, Removal, TransferObserver } from '../observer.ts';
import { ContentQueue } from '../receive/content-queue.ts';
import type { Coverage } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FileFault, faultCode, GONE } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import { checkName, joinPath } from '../tree/names.ts';
import { isSameRoot, rootOf } from '../tree/root-identity.ts';
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
  type LinkEntry,
  omittedSchema,
  totalSchema,
} from '../wire/schemas.ts';
import { Extras } from './extras.ts';
import { findIn, finishFolder, listFound, NOTHING, type Outcome, type SyncRules, syncEntry, syncFolder } from './sync-files.ts';
import { SyncFolder } from './sync-folder.ts';
import { openSyncTarget } from './sync-target.ts';
import { isNoFile } from './unsettled.ts';

/** What a target is made like a source with. */
export interface SyncParts {
  readonly input: Readable;
  readonly output: Writable;
  /** Path of the target. It is opened, and made where there is nothing, when the source has been found. */
  readonly path: string;
  readonly excludes: Excludes;
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly checksum: boolean;
  /** What the sender is asked for, when that is not the whole tree. One that does not know how sends all. */
  readonly coverage?: Coverage;
  /** Judges which folders the source (null: not told) and the target are, before anything is done. @throws what ends the sync. */
  readonly requireRoots?: (roots: { readonly source: string | null; readonly target: string }) => void;
  /** Whether the target was there before: it is not made anew. */
  readonly mustExist?: boolean;
  readonly observer: TransferObserver;
}

/**
 * Makes a folder like the one that is announced, names in order, each folder whole before what follows it. This end decides what is the
 * same, what it asks for, and what it removes. Resolves when everything is settled and the sender has ended. @throws TowlineError when the
 * peer breaks the protocol or the stream breaks; PeerFault; FileFault and system errors of the target itself.
 */
export async function receiveSync(parts: SyncParts): Promise<void> {
  const receiver = new SyncReceiver(parts);
  try {
    await receiver.run();
  } finally {
    await receiver.dispose();
  }
}

type About = Pick<EntryOutcome, 'path' | 'kind' | 'size'>;

class SyncReceiver {
  readonly #parts: SyncParts;
  readonly #writer: FrameWriter;
  readonly #content: ContentQueue;
  readonly #rules: SyncRules;
  readonly #extras = new Extras();
  /** Folders that are announced and not left, the innermost last. */
  readonly #stack: SyncFolder[] = [];
  /** Folders that are not settled. */
  readonly #unsettled = new Set<SyncFolder>();
  #root: Folder | null = null;
  /** Which folder that is, as the sender is told. */
  #rootText: string | undefined;
  #last = 0;
  #open = 0;
  #failures = 0;
  #isListed = false;
  #isDone = false;
  /** Whether what becomes of entries is of no interest any more. */
  #isOver = false;
  /** What is being done, except the waiting for what is in a folder. */
  readonly #working = new Set<Promise<void>>();

  constructor(parts: SyncParts) {
    this.#parts = parts;
    this.#writer = new FrameWriter(parts.output);
    this.#content = new ContentQueue(this.#writer, parts.observer);
    const { excludes, dryRun, checksum, delete: isDeleting } = parts;
    this.#rules = { excludes, dryRun, checksum, delete: isDeleting, onRemoved: (removal) => this.#removed(removal) };
  }

  async run(): Promise<void> {
    const only = this.#parts.coverage?.toText() ?? null;
    this.#writer.sendJson(Frame.ready, { into: true, parts: true, ...(only === null ? {} : { only }) });
    for await (const frame of readFrames(this.#parts.input)) {
      if (this.#isDone) throw new TowlineError('protocol_error', 'The peer goes on after the end of a sync.');
      const taken = this.#take(frame);
      if (taken !== undefined) await taken;
    }
    if (!this.#isDone) throw new TowlineError('session_broken');
  }

  async dispose(): Promise<void> {
    this.#isOver = true;
    this.#writer.flush();
    this.#content.interrupt();
    // A folder is closed when nobody works in it any more: its number may become that of another one.
    while (this.#working.size > 0) await Promise.allSettled(this.#working);
    for (const folder of this.#unsettled) folder.found?.folder?.release();
    this.#root?.release();
  }

  #take({ type, payload }: FrameEvent): Promise<void> | undefined {
    if (type === Frame.data) return this.#content.data(payload);
    if (type === Frame.entry) return this.#announced(decodeFrame(entrySchema, payload));
    if (type === Frame.begin) return this.#content.begin(payload);
    if (type === Frame.end) return this.#content.end(payload);
    if (type === Frame.hole) return this.#content.hole(payload);
    if (type === Frame.listed) return this.#listed();
    if (type === Frame.omitted) return this.#omitted(payload);
    this.#note(type, payload);
    return undefined;
  }

  /** Frames that take no time. */
  #note(type: number, payload: Buffer): void {
    if (type === Frame.leave) this.#leave(payload.readUInt32BE(0));
    else if (type === Frame.failed) this.#failed(payload);
    else if (type === Frame.total) this.#parts.observer.onTotal?.(decodeFrame(totalSchema, payload));
    else throw new TowlineError('protocol_error', `The peer sent a frame of type ${type}, where a tree comes from it.`);
  }

  /** Something is announced. A folder is opened and listed before what comes next; a file takes its time beside it. */
  async #announced(entry: Entry): Promise<void> {
    if (entry.id !== this.#last + 1 || this.#isListed) throw misplaced();
    if (this.#open >= MAX_OPEN_ENTRIES) throw new TowlineError('protocol_error', 'The peer announces more files at a time than it may.');
    this.#last = entry.id;
    if (entry.id === 1) return this.#announcedRoot(entry);
    const parent = this.#innermost(entry.parent);
    const unlisted = parent.found?.names === null ? await listFound(parent) : null;
    const fault = this.#faultOf(entry, parent) ?? unlisted;
    const isPresent = parent.meet(entry.name);
    this.#begin(parent);
    if (entry.kind === 'folder') return this.#announcedFolder(entry, parent, { fault, isPresent });
    const work = fault === null ? this.#sync(entry, parent, isPresent) : Promise.reject(new FileFault(fault));
    const size = entry.kind === 'file' ? entry.size : 0;
    this.#settleWhen(work, { entry, parent, about: { path: joinPath(parent.path, entry.name), kind: entry.kind, size } });
  }

  async #announcedRoot(entry: Entry): Promise<void> {
    if (entry.parent !== 0 || entry.kind !== 'folder' || entry.name.length > 0) throw misplaced();
    const { path, dryRun, mustExist = false } = this.#parts;
    const opened = await openSyncTarget(path, { dryRun, mustExist: mustExist || entry.onto !== undefined });
    this.#root = opened;
    if (opened !== null) await this.#requireRoots(opened, entry);
    const folder = new SyncFolder(entry, null);
    // Two hold it: the work on it, and what is removed at the end.
    const finding = { isNew: false, dryRun, isListed: entry.some !== true };
    folder.found = opened === null ? NOTHING : await findIn(opened.retain(), finding);
    this.#enter(folder);
  }

  /** @throws FileFault `other_root` when the target is not the folder that the sender means, and what this side asks for. */
  async #requireRoots(target: Folder, { root, onto }: FolderEntry): Promise<void> {
    this.#rootText = rootOf(await target.stat());
    if (onto !== undefined && !isSameRoot(onto, this.#rootText)) throw new FileFault('other_root');
    this.#parts.requireRoots?.({ source: root ?? null, target: this.#rootText });
  }

  async #announcedFolder(
    entry: FolderEntry,
    parent: SyncFolder,
    { fault, isPresent }: { fault: string | null; isPresent: boolean },
  ): Promise<void> {
    if (this.#stack.length > MAX_DEPTH) throw misplaced();
    const folder = new SyncFolder(entry, parent);
    try {
      if (fault !== null) throw new FileFault(fault);
      folder.found = await syncFolder(entry, { content: this.#content, rules: this.#rules, parent, isPresent });
      this.#enter(folder);
    } catch (error) {
      this.#enter(folder, faultCode(error));
    }
  }

  /** What is announced next may be in this folder. It is settled when it was left and everything in it is. */
  #enter(folder: SyncFolder, fault: string | null = null): void {
    const { entry, parent, path } = folder;
    if (parent === null) this.#open += 1;
    this.#stack.push(folder);
    this.#unsettled.add(folder);
    const finish = async () => {
      await folder.complete;
      try {
        if (fault !== null) throw new FileFault(fault);
        if (this.#isOver) throw new FileFault('interrupted');
        const finished = finishFolder(folder, this.#rules);
        this.#track(
          finished.then(
            () => {},
            () => {},
          ),
        );
        return await finished;
      } finally {
        this.#unsettled.delete(folder);
        folder.found?.folder?.release();
      }
    };
    this.#settleWhen(finish(), { entry, parent, about: { path, kind: 'folder', size: 0 } });
  }

  #sync(entry: FileEntry | LinkEntry, parent: SyncFolder, isPresent: boolean): Promise<Outcome> {
    return syncEntry(entry, { content: this.#content, rules: this.#rules, parent, isPresent });
  }

  #begin(parent: SyncFolder): void {
    this.#open += 1;
    parent.begin();
  }

  #innermost(id: number): SyncFolder {
    const innermost = this.#stack.at(-1);
    if (innermost === undefined || innermost.entry.id !== id) throw misplaced();
    return innermost;
  }

  /** What is wrong with a name; null when nothing is. What the user excludes is not taken from a peer that offers it all the same. */
  #faultOf({ name, kind }: Entry, parent: SyncFolder): string | null {
    try {
      checkName(name);
    } catch (error) {
      return faultCode(error);
    }
    if (!parent.isInOrder(name)) throw new TowlineError('protocol_error', 'The peer announces names that are not in order.');
    return this.#parts.excludes.isExcluded(joinPath(parent.path, name), kind === 'folder') ? 'excluded' : null;
  }

  #leave(id: number): void {
    const folder = this.#innermost(id);
    this.#stack.pop();
    folder.leave();
    if (this.#parts.delete) this.#extras.add(folder);
  }

  #settleWhen(
    work: Promise<Outcome>,
    { entry, parent, about }: { readonly entry: Entry; readonly parent: SyncFolder | null; readonly about: About },
  ): void {
    const settle = (outcome: Pick<EntryOutcome, 'status' | 'code' | 'change'>) => {
      if (this.#isOver) return;
      const hasFailed = outcome.status === 'failed';
      this.#open -= 1;
      this.#failures += hasFailed ? 1 : 0;
      this.#writer.sendJson(Frame.settled, { id: entry.id, ...outcome, ...(parent === null ? { root: this.#rootText } : {}) });
      this.#parts.observer.onOutcome?.({ ...about, ...outcome });
      parent?.settle(hasFailed);
      return this.#finishWhenSettled();
    };
    const settled = work
      .then(settle, (error: unknown) => settle({ status: 'failed', code: faultCode(error) }))
      // What is no fault of a file ends everything.
      .catch((error: Error) => void this.#parts.input.destroy(error));
    if (entry.kind !== 'folder') this.#track(settled);
  }

  #track(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }

  #failed(payload: Buffer): void {
    const { id, code } = decodeFrame(failedSchema, payload);
    this.#content.failed(id, code);
  }

  /** Something is at the sender and does not come. It is not removed here; when it could not be read, nothing is. */
  async #omitted(payload: Buffer): Promise<void> {
    const { parent, name, code } = decodeFrame(omittedSchema, payload);
    const folder = this.#stack.find(({ entry }) => entry.id === parent) ?? null;
    if (parent !== 0 && folder === null) throw misplaced();
    if (folder?.found?.names === null && (await listFound(folder)) !== null) this.#failures += 1;
    if (code === GONE) return this.#lacking(folder, name);
    if (folder !== null && folder === this.#stack.at(-1) && folder.isInOrder(name)) folder.meet(name);
    if (!isNoFile(code)) {
      this.#failures += 1;
      if (folder !== null) folder.hasFailed = true;
    }
    this.#parts.observer.onOmitted?.(folder === null ? Buffer.alloc(0) : joinPath(folder.path, name), code);
  }

  /** The sender says that it has nothing of a name. */
  #lacking(folder: SyncFolder | null, name: Buffer): void {
    if (folder === null || folder !== this.#stack.at(-1) || !folder.isInOrder(name)) throw misplaced();
    folder.lack(name);
  }

  async #listed(): Promise<void> {
    if (this.#isListed || this.#stack.length > 0 || this.#last === 0)
      throw new TowlineError('protocol_error', 'The peer ended a listing where it has no end.');
    this.#isListed = true;
    await this.#finishWhenSettled();
  }

  async #finishWhenSettled(): Promise<void> {
    if (!this.#isListed || this.#open > 0) return;
    if (this.#parts.delete && this.#failures === 0 && this.#root !== null) {
      const removing = this.#removeExtras(this.#root);
      this.#track(removing.catch(() => {}));
      await removing;
    }
    await this.#root?.sync();
    this.#isDone = true;
    this.#writer.send(Frame.done);
    this.#writer.flush();
  }

  async #removeExtras(root: Folder): Promise<void> {
    await this.#extras.remove(root, this.#rules);
    if (this.#extras.isIncomplete) await this.#removed({ path: Buffer.alloc(0), kind: 'folder', code: 'too_many' });
  }

  async #removed(removal: Removal): Promise<void> {
    const path = removal.path.subarray(-MAX_SHOWN_PATH).toString('latin1');
    this.#writer.sendJson(Frame.removed, { ...removal, path });
    this.#parts.observer.onRemoved?.(removal);
    await this.#writer.room();
  }
}

function misplaced(): TowlineError {
  return new TowlineError('protocol_error', 'The peer announces something where it cannot be.');
}
