import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@towline/contract';
import { z } from 'zod';
import { replaceFile } from './replace-file.ts';

/** Name of the file in the folder of the runtime's files. It holds no secret. */
const STATUS_FILE = 'runtime.json';

const statusSchema = z.object({
  pid: z.int().min(1),
  state: z.enum(['starting', 'waiting', 'online', 'offline', 'stopped']),
  relay: z.string().nullable(),
  /** How the relay is reached; null while it is not. */
  transport: z.string().nullable(),
  /** Why it is not reached by a better transport, for people. */
  note: z.string().nullable().default(null),
  device: z.string().nullable(),
  name: z.string().nullable(),
  /** Id of the request that waits for approval. */
  request: z.string().nullable(),
  /** Since when it is in that state, RFC 3339. */
  since: z.string(),
  last_error: z.object({ code: z.string(), message: z.string(), at: z.string() }).nullable(),
});
/** What a running runtime tells `runtime status`. */
export type RuntimeStatus = z.infer<typeof statusSchema>;

/** The part of a status that a caller states. */
export type StatusChange = Partial<Omit<RuntimeStatus, 'pid' | 'since' | 'last_error'>> & {
  readonly error?: { readonly code: string; readonly message: string };
};

/** Keeps the status file of a runtime up to date, the latest state last. */
export class StatusFile {
  readonly #dir: string;
  readonly #clock: Clock;
  #status: RuntimeStatus;
  #writing: Promise<void> = Promise.resolve();

  constructor(dir: string, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
    const nothing = { relay: null, transport: null, note: null, device: null, name: null, request: null, last_error: null };
    this.#status = { pid: process.pid, state: 'starting', since: this.#now(), ...nothing };
  }

  /** States a change. A file that cannot be written costs nothing but the answer of `runtime status`. */
  update({ error, ...change }: StatusChange): void {
    if (error === undefined && this.#says(change)) return;
    const since = change.state === undefined || change.state === this.#status.state ? this.#status.since : this.#now();
    this.#status = {
      ...this.#status,
      ...change,
      since,
      last_error: error === undefined ? this.#status.last_error : { code: error.code, message: error.message, at: this.#now() },
    };
    this.#writing = this.#writing.then(() => this.#write()).catch(() => undefined);
  }

  /** Resolves when everything stated so far is written. */
  settled(): Promise<void> {
    return this.#writing;
  }

  #says(change: Partial<RuntimeStatus>): boolean {
    return Object.entries(change).every(([key, value]) => this.#status[key as keyof RuntimeStatus] === value);
  }

  async #write(): Promise<void> {
    await replaceFile(join(this.#dir, STATUS_FILE), `${JSON.stringify(this.#status)}\n`);
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}

/** Reads what the last runtime of the folder said of itself; null when there is nothing, or nothing that can be understood. */
export async function readStatus(dir: string): Promise<RuntimeStatus | null> {
  const text = await readFile(join(dir, STATUS_FILE), 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return statusSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
