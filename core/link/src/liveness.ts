import type { Link } from '@towline/contract';
import { SILENCE_BEFORE_ECHO_MS, SILENCE_BEFORE_LOST_MS } from '@towline/protocol';

/** Times of silence, milliseconds. */
export interface LivenessTimes {
  readonly echoAfterMs: number;
  readonly lostAfterMs: number;
}

const TIMES: LivenessTimes = Object.freeze({ echoAfterMs: SILENCE_BEFORE_ECHO_MS, lostAfterMs: SILENCE_BEFORE_LOST_MS });

/**
 * Closes a link whose peer has fallen silent. Any byte received is a sign of life, so bulk data on a slow line never
 * looks like death; after some silence an echo is asked for on the control stream. Answers how to stop.
 */
export function watchLiveness(link: Link, channel: { echo(): void }, times: LivenessTimes = TIMES): () => void {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const watch = (inMs: number) => {
    if (stopped) return;
    timer = setTimeout(look, inMs);
    timer.unref();
  };
  const look = () => {
    const silentMs = performance.now() - link.stats.lastReceivedMs;
    if (silentMs >= times.lostAfterMs)
      return void link.close('link_silent', `Nothing was received for ${Math.round(silentMs / 1_000)} s.`, 0);
    if (silentMs < times.echoAfterMs) return watch(times.echoAfterMs - silentMs);
    channel.echo();
    // Asked a second time before it counts as lost: one echo may be caught in a burst of loss.
    watch(Math.min((times.lostAfterMs - times.echoAfterMs) / 2, times.lostAfterMs - silentMs));
  };
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
  };
  watch(times.echoAfterMs);
  void link.closed.then(stop);
  return stop;
}
