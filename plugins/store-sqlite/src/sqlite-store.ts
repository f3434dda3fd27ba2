import type { Clock, Log, PluginLife, Standing, StandingQuery, Store, StoreRecord } from '@towline/contract';
import { type Scope, TowlineError } from '@towline/protocol';
import { copyBeside, placeBackup } from './backup.ts';
import { DatabaseThread } from './database-thread.ts';
import { createRepositories, type Repositories } from './repositories.ts';
import type { ThreadRole } from './thread-messages.ts';
import { exportRecords, importRecords } from './transfer.ts';

/** Counters of a store since it started. */
export interface StoreStats {
  /** Calls that may change something. */
  readonly writes: number;
  /** Transactions they were committed in. */
  readonly commits: number;
}

interface Threads {
  readonly writer: DatabaseThread;
  readonly reader: DatabaseThread;
}

/**
 * A store in one SQLite file. Two threads serve it, so that neither the event loop nor a look-up waits for the disk
 * of a write: one holds the connection that writes, the other one that reads.
 */
export class SqliteStore implements Store, PluginLife {
  readonly #path: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #repositories: Repositories;
  readonly #stop = new AbortController();
  #starting: Promise<void> | undefined;
  #threads: Threads | undefined;
  /** Threads of exports, imports and backups that go on. */
  readonly #beside = new Set<DatabaseThread>();
  #disposal: Promise<void> | undefined;
  #writes = 0;
  #schema: Store['schema'];

  /** Does no I/O. `path` is absolute. */
  constructor(path: string, parts: { readonly log: Log; readonly clock: Clock }) {
    this.#path = path;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#repositories = createRepositories({
      read: (operation, args) => this.#call('reader', operation, args),
      write: (operation, args) => this.#call('writer', operation, args),
    });
  }

  get schema() {
    return this.#schema;
  }
  get devices() {
    return this.#repositories.devices;
  }
  get registrations() {
    return this.#repositories.registrations;
  }
  get keys() {
    return this.#repositories.keys;
  }
  get users() {
    return this.#repositories.users;
  }
  get organisations() {
    return this.#repositories.organisations;
  }
  get secrets() {
    return this.#repositories.secrets;
  }
  get sessions() {
    return this.#repositories.sessions;
  }
  get audit() {
    return this.#repositories.audit;
  }
  get revocations() {
    return this.#repositories.revocations;
  }
  get meta() {
    return this.#repositories.meta;
  }

  /**
   * Opens the file, makes it when there is none, checks it and brings its schema up to date.
   * @throws TowlineError `data_unwritable`, `credentials_unsafe`, `file_damaged`, `store_schema`, `data_in_use`, `store_failed`.
   */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#starting || this.#disposal) throw new TowlineError('store_failed', 'The store was started or closed before.');
    this.#starting = this.#open(AbortSignal.any([signal, this.#stop.signal]));
    await this.#starting;
  }

  /** What counts for a user now. */
  standing(query: StandingQuery): Promise<Standing> {
    return this.#repositories.standing(query);
  }

  /** Whether anything names the scope. */
  isScopeUsed(scope: Scope): Promise<boolean> {
    return this.#repositories.isScopeUsed(scope);
  }

  /** Everything as it was at the first object, read by a thread of its own: nobody waits for it. The log of the database grows meanwhile. */
  async *export(signal: AbortSignal): AsyncGenerator<StoreRecord, void, undefined> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    yield* exportRecords(await this.#openBeside('exporter', either), either);
  }

  /** Fills an empty store in one transaction. Other writes wait for it as for another process. */
  async import(records: AsyncIterable<StoreRecord>, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    await importRecords(await this.#openBeside('importer', either), records, either);
  }

  /** Copies the file as it is at one moment, by a thread of its own: nobody waits for it. The log of the database grows meanwhile. */
  async backup(path: string, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    await placeBackup(path, either, async (file) => copyBeside(await this.#openBeside('copier', either), file, either));
  }

  /** Resolves when both threads can use the file, and the file is still the one that was opened. */
  async ping(): Promise<void> {
    await Promise.all([this.#call('reader', 'ping', []), this.#call('writer', 'ping', [])]);
  }

  /** Zeroes what was replaced or deleted, in the file and in its log. */
  async scrub(): Promise<void> {
    await this.#call('writer', 'scrub', []);
  }

  /** Counters, to see how writes are grouped. */
  stats(): StoreStats {
    return { writes: this.#writes, commits: this.#threads?.writer.commits ?? 0 };
  }

  /** Finishes the calls that were made, moves the log into the file and closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#close();
    return this.#disposal;
  }

  async #open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const settings = { path: this.#path, now: this.#clock.now() };
    const threads = { writer: new DatabaseThread('writer'), reader: new DatabaseThread('reader') };
    try {
      // The writer first: it makes the file and its tables, and heals what a crash left.
      this.#schema = (await threads.writer.open({ ...settings, role: 'writer' }, signal)) ?? undefined;
      await threads.reader.open({ ...settings, role: 'reader' }, signal);
    } catch (error) {
      await Promise.all([threads.reader.terminate(), threads.writer.terminate()]);
      throw error;
    }
    this.#threads = threads;
    this.#watch(threads);
  }

  /** A thread for the time of one export, import or backup. */
  async #openBeside(role: ThreadRole, signal: AbortSignal): Promise<DatabaseThread> {
    signal.throwIfAborted();
    if (!this.#threads) throw new TowlineError('store_failed', 'The store is not open.');
    const thread = new DatabaseThread(role);
    this.#beside.add(thread);
    void thread.exited.then(() => this.#beside.delete(thread));
    try {
      await thread.open({ path: this.#path, now: this.#clock.now(), role }, signal);
      return thread;
    } catch (error) {
      await thread.terminate();
      throw error;
    }
  }

  /** A store with one thread would answer some calls and not others: when one dies, the other goes too. */
  #watch({ writer, reader }: Threads): void {
    const onExit = (role: keyof Threads, other: DatabaseThread) => {
      if (this.#disposal) return;
      this.#log.error('A thread of the store has ended; the store fails until the relay is started again.', { thread: role });
      void other.terminate();
    };
    void writer.exited.then(() => onExit('writer', reader));
    void reader.exited.then(() => onExit('reader', writer));
  }

  async #close(): Promise<void> {
    this.#stop.abort(new TowlineError('cancelled', 'The store was closed meanwhile.'));
    // Whoever started hears of a failed start; here only its end matters.
    await this.#starting?.catch(() => undefined);
    await Promise.all([...this.#beside].map((thread) => thread.terminate()));
    // The reader first: the last connection to close moves the log into the file.
    await this.#threads?.reader.close();
    await this.#threads?.writer.close();
  }

  #call(role: keyof Threads, operation: string, args: readonly unknown[]): Promise<unknown> {
    if (!this.#threads) return Promise.reject(new TowlineError('store_failed', 'The store is not open.'));
    if (role === 'writer') this.#writes += 1;
    return this.#threads[role].call(operation, args);
  }
}
