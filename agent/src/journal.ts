import type { SessionNote } from '@towline/contract';
import {
  encodeJson,
  type JournalEntry,
  MAX_NOTE_DETAIL,
  printable,
  type SessionEnd,
  type SessionId,
  TowlineError,
} from '@towline/protocol';

/** Entries kept while no relay has acknowledged them: some megabytes at most. */
const MAX_ENTRIES = 10_000;
/** Longest text of an end in the journal. A full batch of the longest must fit one control message. */
const MAX_MESSAGE = 250;

/** What a session did, for its last entry. */
export interface SessionAccount {
  readonly session: SessionId;
  /** Bytes of content, not of framing. */
  readonly bytesToDevice: number;
  readonly bytesFromDevice: number;
  readonly end: SessionEnd;
}

/** An entry and when it happened, by the monotonic clock. Its age is known only when it is sent. */
interface Kept {
  readonly atMs: number;
  readonly entry: JournalEntry;
}

/** What {@link SessionJournal} goes by. */
export interface JournalOptions {
  /** Monotonic time, milliseconds. */
  readonly monotonicMs: () => number;
  /** {@link MAX_ENTRIES} unless told. */
  readonly maxEntries?: number;
}

/**
 * What sessions did, numbered, kept until the relay has acknowledged it. It outlives links and lives in memory:
 * when the runtime dies, the relay closes what it had open as lost.
 */
export class SessionJournal {
  readonly #monotonicMs: () => number;
  readonly #maxEntries: number;
  #kept: Kept[] = [];
  #next = 1;
  #unfinished = 0;
  readonly #senders: (() => void)[] = [];
  #onEmpty: (() => void)[] = [];

  constructor(options: JournalOptions) {
    this.#monotonicMs = options.monotonicMs;
    this.#maxEntries = options.maxEntries ?? MAX_ENTRIES;
  }

  /** Whether another session could not be written down from start to end. */
  get full(): boolean {
    return this.#kept.length + this.#unfinished + 2 > this.#maxEntries;
  }

  /** Entries that wait for an acknowledgement. */
  get size(): number {
    return this.#kept.length;
  }

  /**
   * Makes `send` what is called now and after each new entry. Of several only the latest is called; when that one
   * leaves, the one before takes its place. Answers how to leave.
   */
  attach(send: () => void): () => void {
    this.#senders.push(send);
    send();
    return () => {
      const at = this.#senders.indexOf(send);
      if (at < 0) return;
      this.#senders.splice(at, 1);
      if (at === this.#senders.length) this.#senders.at(-1)?.();
    };
  }

  /** Whether this is what is called after a new entry. */
  isSending(send: () => void): boolean {
    return this.#senders.at(-1) === send;
  }

  /** Resolves when everything has been acknowledged, or the signal aborts. */
  whenEmpty(signal: AbortSignal): Promise<void> {
    if (this.#kept.length === 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Writes down that a session began. Its end has room from now on. */
  start(session: SessionId, protocol: string): void {
    this.#unfinished += 1;
    this.#add((number) => ({ type: 'start', number, session, protocol, age_ms: 0 }));
  }

  /**
   * Writes down something that a session did which {@link start} began and {@link end} has not ended. False when there is no room: notes
   * take half of the journal at most, so that sessions can begin and end. @throws TowlineError `too_large`.
   */
  note(session: SessionId, { outcome, detail }: SessionNote): boolean {
    if (encodeJson(detail).length > MAX_NOTE_DETAIL) throw new TowlineError('too_large', 'A note of a session is too long.');
    if ((this.#kept.length + this.#unfinished) * 2 >= this.#maxEntries) return false;
    this.#add((number) => ({ type: 'note', number, session, age_ms: 0, outcome, detail }));
    return true;
  }

  /** Writes down how a session ended that {@link start} began. */
  end(account: SessionAccount): void {
    this.#unfinished -= 1;
    this.#add((number) => ({
      type: 'end',
      number,
      session: account.session,
      age_ms: 0,
      bytes_to_device: account.bytesToDevice,
      bytes_from_device: account.bytesFromDevice,
      end: shorten(account.end),
    }));
  }

  /** Up to `max` entries after the given number, oldest first, with their present age. */
  after(number: number, max: number): JournalEntry[] {
    const nowMs = this.#monotonicMs();
    const first = this.#kept.findIndex(({ entry }) => entry.number > number);
    if (first < 0) return [];
    return this.#kept.slice(first, first + max).map(({ atMs, entry }) => ({ ...entry, age_ms: Math.max(0, nowMs - atMs) }));
  }

  /** Forgets what the relay has stored. Numbers that were never written are ignored. */
  acknowledge(received: number): void {
    if (received >= this.#next) return;
    this.#kept = this.#kept.filter(({ entry }) => entry.number > received);
    if (this.#kept.length === 0) for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  /**
   * A relay welcomes the device and tells up to which number it has entries. When that is beyond what this
   * runtime wrote, the numbers are those of an earlier run: what is kept continues after them.
   */
  resumeAfter(received: number): void {
    if (received < this.#next) return this.acknowledge(received);
    this.#kept = this.#kept.map(({ atMs, entry }, index) => ({ atMs, entry: { ...entry, number: received + 1 + index } }));
    this.#next = received + 1 + this.#kept.length;
  }

  #add(entryOf: (number: number) => JournalEntry): void {
    this.#kept.push({ atMs: this.#monotonicMs(), entry: entryOf(this.#next) });
    this.#next += 1;
    this.#senders.at(-1)?.();
  }
}

function shorten(end: SessionEnd): SessionEnd {
  return end.message === undefined ? end : { ...end, message: printable(end.message).slice(0, MAX_MESSAGE) };
}
