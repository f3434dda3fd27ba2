import { Worker } from 'node:worker_threads';
import { TowlineError } from '@towline/protocol';
import { CLOSE_DEADLINE_MS, MAX_WAITING_REQUESTS, THREAD_SILENCE_MS } from './limits.ts';
import { decodeError } from './thread-error.ts';
import type { FromThread, Reply, Request, SchemaChange, ThreadRole, ThreadSettings, ToThread } from './thread-messages.ts';

const ENTRY = new URL('./thread/main.js', import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TowlineError) => void;
}

/**
 * A thread with a connection to the database: calls go in, answers come out in order.
 * When it dies, every call that waits and every later one is rejected with `store_failed`.
 */
export class DatabaseThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  /** A backup answers once, when all of it is copied and checked; only who asked for it waits, and can give it up. */
  readonly #maybeSilent: boolean;
  #outbox: Request[] = [];
  #lastId = 0;
  #lastReplyAt = 0;
  #watch: NodeJS.Timeout | undefined;
  #failure: TowlineError | undefined;
  #commits = 0;

  /** Starts the thread, without a connection yet: threads that are needed together start up together. */
  constructor(role: ThreadRole) {
    this.#maybeSilent = role === 'copier';
    // No environment and no flags of the process: the thread needs neither, and the environment holds secrets.
    this.#worker = new Worker(ENTRY, { name: `store-${role}`, env: {}, execArgv: [] });
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.#worker.on('message', (message: FromThread) => {
      if (message.type === 'replies') this.#settle(message.replies, message.commits);
    });
    this.#worker.once('error', (error) => this.#fail(`the ${role} thread failed: ${error.message}`, error));
    this.#worker.once('exit', () => this.#fail(`the ${role} thread has ended`));
  }

  /** Makes the connection; the writer's answers what became of the schema. @throws what the thread could not do; the reason of an abort. Then the thread has to be ended. */
  open(settings: ThreadSettings, signal: AbortSignal): Promise<SchemaChange | null> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      if (signal.aborted) return onAbort();
      const settle = (done: () => void) => {
        signal.removeEventListener('abort', onAbort);
        done();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#worker.once('message', (message: FromThread) =>
        settle(() =>
          message.type === 'failed' ? reject(decodeError(message.error)) : resolve(message.type === 'opened' ? message.schema : null),
        ),
      );
      void this.#exited.then(() => settle(() => reject(this.#failure)));
      this.#send(settings);
    });
  }

  /** Transactions committed since the start, by the thread's own count. */
  get commits(): number {
    return this.#commits;
  }

  /** Resolves when the thread has ended, for whatever reason. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Runs an operation in the thread. Calls made in one turn of the event loop travel together. */
  call(operation: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#waiting.size >= MAX_WAITING_REQUESTS) return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      const id = (this.#lastId += 1);
      if (this.#waiting.size === 0) this.#lastReplyAt = performance.now();
      this.#waiting.set(id, { resolve, reject });
      this.#outbox.push({ id, operation, args });
      if (this.#outbox.length === 1) queueMicrotask(() => this.#flush());
      if (!this.#maybeSilent) this.#watch ??= setTimeout(() => this.#checkSilence(), THREAD_SILENCE_MS);
    });
  }

  /** Lets the thread finish what was called before, and ends it. Later calls are rejected. */
  async close(): Promise<void> {
    this.#flush();
    this.#failure ??= new TowlineError('store_failed', 'The store is closed.');
    this.#send('close');
    await this.#exitedBefore(CLOSE_DEADLINE_MS);
  }

  /** Ends the thread at once. What it has not committed is rolled back by the database. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    this.#fail('the thread was ended');
  }

  /** A thread that is stuck in the disk cannot be ended; then it is left behind, so that the process can go on to stop. */
  async #exitedBefore(deadlineMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([this.#exited, late.then(() => void this.terminate())]);
    clearTimeout(timer);
  }

  #flush(): void {
    const requests = this.#outbox;
    this.#outbox = [];
    if (requests.length === 0 || this.#failure) return;
    try {
      this.#send(requests);
    } catch {
      for (const request of requests) this.#sendAlone(request);
    }
  }

  /** One value that cannot be copied to a thread must not take the calls beside it along. */
  #sendAlone(request: Request): void {
    try {
      this.#send([request]);
    } catch (cause) {
      const error = new TowlineError('store_failed', undefined, { detail: `${request.operation}: a value cannot be stored`, cause });
      this.#take(request.id)?.reject(error);
    }
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #settle(replies: readonly Reply[], commits: number): void {
    this.#commits = commits;
    this.#lastReplyAt = performance.now();
    for (const reply of replies) {
      const waiting = this.#take(reply.id);
      if ('error' in reply) waiting?.reject(decodeError(reply.error));
      else waiting?.resolve(reply.value);
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#stopWatch();
    return waiting;
  }

  #checkSilence(): void {
    const silentMs = performance.now() - this.#lastReplyAt;
    if (silentMs >= THREAD_SILENCE_MS) {
      this.#fail(`the database did not answer for ${Math.round(silentMs / 1_000)} s`);
      void this.terminate();
    } else {
      this.#watch = setTimeout(() => this.#checkSilence(), THREAD_SILENCE_MS - silentMs);
    }
  }

  #stopWatch(): void {
    clearTimeout(this.#watch);
    this.#watch = undefined;
  }

  #fail(detail: string, cause?: unknown): void {
    this.#failure ??= new TowlineError('store_failed', undefined, { detail, ...(cause !== undefined && { cause }) });
    const lost = new TowlineError('store_failed', undefined, { detail, ...(cause !== undefined && { cause }) });
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(lost);
  }
}

function overloaded(): TowlineError {
  return new TowlineError('store_failed', 'The store has more work waiting than it takes.', {
    hint: 'Try again in a moment; if it lasts, look at the load and the disk of the relay.',
    detail: `${MAX_WAITING_REQUESTS} calls are waiting`,
  });
}
