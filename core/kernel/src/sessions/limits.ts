import type { Duplex } from 'node:stream';
import { TowlineError } from '@towline/contract';

/** Longest timer of Node, milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Limits of every session, milliseconds; 0: none. */
export interface SessionLimits {
  /** How long it may carry nothing in either direction. */
  readonly idleMs: number;
  readonly maxDurationMs: number;
}

/**
 * Calls `end` once, with `session_idle` or `session_too_long`, when a session has reached a limit. To be called in the turn
 * in which the streams are joined, because it makes them flow. Answers how to stop.
 */
export function watchLimits(
  streams: readonly Duplex[],
  { idleMs, maxDurationMs }: SessionLimits,
  end: (error: TowlineError) => void,
): () => void {
  const stops: (() => void)[] = [];
  const stop = () => {
    for (const each of stops) each();
  };
  const endWith = (code: 'session_idle' | 'session_too_long') => () => {
    stop();
    end(new TowlineError(code));
  };
  if (maxDurationMs > 0) {
    const began = performance.now();
    stops.push(startTimer(() => began + maxDurationMs, endWith('session_too_long')));
  }
  if (idleMs > 0) {
    let movedAt = performance.now();
    const moved = () => {
      movedAt = performance.now();
    };
    for (const stream of streams) stream.on('data', moved);
    stops.push(() => {
      for (const stream of streams) stream.off('data', moved);
    });
    stops.push(startTimer(() => movedAt + idleMs, endWith('session_idle')));
  }
  return stop;
}

/** Calls `due` when the time has come that `at` names, which may move on meanwhile. Monotonic milliseconds. */
function startTimer(at: () => number, due: () => void): () => void {
  let timer: NodeJS.Timeout;
  const look = () => {
    const leftMs = at() - performance.now();
    if (leftMs <= 0) due();
    else timer = setTimeout(look, Math.min(Math.ceil(leftMs), LONGEST_TIMER_MS)).unref();
  };
  look();
  return () => clearTimeout(timer);
}
