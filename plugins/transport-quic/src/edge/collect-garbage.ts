import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Growth since the last collection that is worth the pause of another, bytes. */
const GROWTH_BYTES = 67_108_864;
/** Pause between two, as a multiple of the time that the last one took: over many connections that is tenths of a second. */
const PAUSE_FACTOR = 50;

/**
 * Makes a function that is told the memory of this process every now and then, and collects garbage when that has grown.
 * What quiche holds for a connection is freed only when V8 collects the small object before it. V8 sees nothing of that
 * memory, so it would not for minutes, and connections that came and went would fill it.
 */
export function createCollector(nowMs: () => number = () => performance.now()): (residentBytes: number) => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let nextMs = nowMs();
  let leftBytes = process.memoryUsage.rss();
  return (residentBytes) => {
    if (residentBytes - leftBytes < GROWTH_BYTES || nowMs() < nextMs) return;
    const beganMs = nowMs();
    collect();
    nextMs = nowMs() + PAUSE_FACTOR * (nowMs() - beganMs);
    leftBytes = process.memoryUsage.rss();
  };
}
