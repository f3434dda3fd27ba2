import { type NativeConnection, SHUTDOWN } from '../binding/quiche.ts';

/** Time a reset waits at most for bytes that quiche has taken and not sent, milliseconds. */
const LATEST_MS = 5_000;
/** Where bytes go that nobody wants. */
const NOWHERE = Buffer.allocUnsafeSlow(65_536);

/**
 * Streams that are over for their users and not yet for quiche. Version 0.18 counts a stream as open for ever, so that
 * after some thousands the peer can open no more, in two cases which are avoided here: when its reading side was
 * refused (STOP_SENDING) and its end comes after our last byte was acknowledged, and when its writing side is reset
 * while bytes that quiche has taken were not sent yet.
 */
export class BrokenStreams {
  readonly #native: NativeConnection;
  readonly #counted: (id: number, received: number) => void;
  readonly #dropping = new Set<number>();
  readonly #resets = new Map<number, { readonly wire: number; readonly latestMs: number }>();
  #roomBytes = 0;

  constructor(native: NativeConnection, counted: (id: number, received: number) => void) {
    this.#native = native;
    this.#counted = counted;
  }

  /** Whether a reset waits for its moment. */
  get waits(): boolean {
    return this.#resets.size > 0;
  }

  /** Whether the rest of this stream is read to nowhere. */
  drops(id: number): boolean {
    return this.#dropping.has(id);
  }

  /** What the peer still sends on this stream is not wanted. Call it again when there is more. */
  drop(id: number): void {
    this.#dropping.add(id);
    try {
      for (;;) {
        const got = this.#native.streamRecv(id, NOWHERE);
        if (got === null) return;
        this.#counted(id, got[0]);
        if (got[1]) break;
      }
    } catch {
      // The peer has reset it. Quiche keeps it as one that can be read until it is told that nobody will.
      this.#shutDown(id, SHUTDOWN.read, 0);
    }
    this.#dropping.delete(id);
  }

  /** Resets what we send on this stream, once quiche has sent what it took. */
  reset(id: number, wire: number): void {
    this.#resets.set(id, { wire, latestMs: performance.now() + LATEST_MS });
  }

  /** A turn begins. Quiche reckons anew how much may be sent only when a packet was taken in. */
  look(tookPacket: boolean): void {
    this.#roomBytes = tookPacket && this.#resets.size > 0 ? this.#roomToSend() : 0;
  }

  /** Quiche has nothing more to send in this turn, in which these bytes went out. Answers whether it has now. */
  flushed(bytes: number): boolean {
    if (this.#resets.size === 0) return false;
    // It stopped before it had to, so that there is nothing it holds.
    const allIsSent = bytes < this.#roomBytes;
    const nowMs = performance.now();
    const before = this.#resets.size;
    for (const [id, { wire, latestMs }] of this.#resets) {
      if (!allIsSent && nowMs < latestMs) break;
      this.#resets.delete(id);
      this.#shutDown(id, SHUTDOWN.write, wire);
    }
    return this.#resets.size < before;
  }

  /** The connection is over. */
  clear(): void {
    this.#dropping.clear();
    this.#resets.clear();
  }

  #roomToSend(): number {
    try {
      return this.#native.streamCapacity(0);
    } catch {
      return 0;
    }
  }

  #shutDown(id: number, direction: number, wire: number): void {
    try {
      this.#native.streamShutdown(id, direction, wire);
    } catch {
      // Over already.
    }
  }
}
