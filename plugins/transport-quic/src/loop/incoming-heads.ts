import { MAX_STREAM_HEAD } from '@towline/protocol';
import type { NativeConnection } from '../binding/quiche.ts';
import { IncomingHead } from './stream-head.ts';

/**
 * Bytes that heads may hold which are not whole: dozens of the longest. While they hold more, further streams wait in
 * quiche, unread.
 */
const MAX_HEAD_BYTES = 2_097_152;
/** Streams of which the peer said that they broke before they began here. */
const MAX_BROKEN_BEFORE = 1_024;

/** Streams of the peer whose heads have not arrived as a whole yet. */
export class IncomingHeads {
  readonly #native: NativeConnection;
  readonly #counted: (id: number, received: number) => void;
  readonly #heads = new Map<number, IncomingHead>();
  readonly #brokenBefore = new Set<number>();
  #bytes = 0;
  #waits = false;
  #requestBytes = 0;

  /** `counted` is told what was read of a stream. */
  constructor(native: NativeConnection, counted: (id: number, received: number) => void) {
    this.#native = native;
    this.#counted = counted;
  }

  get size(): number {
    return this.#heads.size;
  }

  /** Bytes that have arrived of the head of the first stream. */
  get requestBytes(): number {
    return this.#requestBytes;
  }

  /** A turn begins, in which those that had to wait for room are looked at again. */
  beginTurn(): void {
    this.#waits = false;
  }

  /** The head of a stream as soon as it is whole; null until then. `broken`: there will be none, or the peer has reset the stream. */
  read(id: number): Buffer | 'broken' | null {
    const head = this.#heads.get(id) ?? this.#begin(id);
    if (head === null) return null;
    const before = head.received;
    let whole: Buffer | null;
    try {
      whole = head.read(this.#native, id);
    } catch {
      // Reset before it began, or no head at all.
      this.#bytes += head.received - before;
      return 'broken';
    }
    this.#bytes += head.received - before;
    if (id === 0) this.#requestBytes = head.received;
    this.#counted(id, head.received - before);
    return whole !== null && this.#brokenBefore.delete(id) ? 'broken' : whole;
  }

  /** A stream has begun, or never will. Answers whether others wait for the room. */
  forget(id: number): boolean {
    this.#bytes -= this.#heads.get(id)?.received ?? 0;
    this.#heads.delete(id);
    return this.#waits;
  }

  /** The peer's word that it has reset a stream that did not begin here. */
  breakBefore(id: number): void {
    this.#brokenBefore.add(id);
    for (const oldest of this.#brokenBefore) {
      if (this.#brokenBefore.size <= MAX_BROKEN_BEFORE) return;
      this.#brokenBefore.delete(oldest);
    }
  }

  /** The connection is over. */
  clear(): void {
    this.#heads.clear();
  }

  #begin(id: number): IncomingHead | null {
    if (this.#bytes > MAX_HEAD_BYTES) {
      this.#waits = true;
      return null;
    }
    const head = new IncomingHead(MAX_STREAM_HEAD);
    this.#heads.set(id, head);
    return head;
  }
}
