import type { Link } from '@towline/contract';
import { SILENCE_BEFORE_ECHO_MS, SILENCE_BEFORE_LOST_MS } from '@towline/protocol';

/** Times of silence, milliseconds. */
export interface LivenessTimes {
  readonly echoAfterMs: number;
  readonly lostAfterMs: number;
}

const TIMES: LivenessTimes = Object.freeze({ echoAfterMs: SILENCE_BEFORE_ECHO_MS, lostAfterMs: SILENCE_BEFORE_LOST_MS });
/** A timer that is late by more than this tells that this process stood still, and the peer's bytes may wait unread. */
const STOOD_STILL_MS = 1_000;

/**
 * Closes a link whose peer has fallen silent. Any byte received is a sign of life, so bulk data on a slow line never
 * looks like death; after some silence an echo is asked for on the control stream. The peer always gets the whole
 * time from the first echo on: a process that stood still asks before it judges. Answers how to stop.
 */
export function watchLiveness(link: Link, channel: { echo(): void }, times: LivenessTimes = TIMES): () => void {
  const answerMs = times.lostAfterMs - times.echoAfterMs;
  let timer: NodeJS.Timeout;
  let dueMs = 0;
  let askedMs: number | null = null;
  let stopped = false;
  const watch = (inMs: number) => {
    if (stopped) return;
    dueMs = performance.now() + inMs;
    timer = setTimeout(look, Math.ceil(inMs));
    timer.unref();
  };
  const look = () => {
    const nowMs = performance.now();
    const { lastReceivedMs } = link.stats;
    const silentMs = nowMs - lastReceivedMs;
    if (askedMs !== null && (lastReceivedMs > askedMs || nowMs - dueMs > STOOD_STILL_MS)) askedMs = null;
    if (silentMs < times.echoAfterMs) return watch(times.echoAfterMs - silentMs);
    askedMs ??= nowMs;
    const leftMs = Math.max(times.lostAfterMs - silentMs, askedMs + answerMs - nowMs);
    if (leftMs <= 0) return void link.close('link_silent', `Nothing was received for ${Math.round(silentMs / 1_000)} s.`, 0);
    channel.echo();
    // Asked a second time before it counts as lost: one echo may be caught in a burst of loss.
    watch(Math.min(answerMs / 2, leftMs));
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  watch(times.echoAfterMs);
  void link.closed.then(stop);
  return stop;
}
