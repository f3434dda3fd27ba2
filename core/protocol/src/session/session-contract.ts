import type { Readable, Writable } from 'node:stream';
import type { SessionId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import type { SessionResult } from './result.ts';

/**
 * One session between a client and a device, end to end. Stream plugins are written on it and never see
 * the stream that carries it. Channels are numbered 0 to 63; each has a direction of its own towards either side.
 */
export interface Session {
  readonly id: SessionId;
  /** Aborts when the session is over for any cause; its reason is the {@link SessionResult} or a TowlineError. */
  readonly signal: AbortSignal;
  /** Bytes the peer sends on a channel. Ends on the peer's FIN; errors when the session breaks. One reader a channel. */
  input(channel: number): Readable;
  /** Bytes for the peer. Ending it sends FIN for that channel; writing waits for the window. */
  output(channel: number): Writable;
  /** Sends a small message, at most 16 KiB. It may pass data that waits for the window, never data that was sent before it. Resolves when it was sent. */
  send(message: JsonObject): Promise<void>;
  /** Called for each message of the peer, in order. Set it before the first await after the session was handed out. */
  onMessage(listener: (message: JsonObject) => void): void;
}

/** The device's end of a session: it states the result. */
export interface DeviceSession extends Session {
  /** Bytes of content so far. */
  readonly bytesToDevice: number;
  readonly bytesFromDevice: number;
}

/** The client's end of a session: it learns the result. */
export interface ClientSession extends Session {
  /**
   * Resolves with the device's result when the session is complete: every byte before it was delivered.
   * Rejects with `session_broken` when the stream ended without it, or with the error that ended it.
   */
  readonly result: Promise<SessionResult>;
  /** Gives up: the device ends what the session runs. Said by resetting the stream with `cancelled`. */
  cancel(): void;
}
