import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Growth since the last collection that is worth the pause of another, bytes. */
const GROWTH_BYTES = 67_108_864;
/** Least time between two, milliseconds: over many connections one takes tenths of a second. */
const LEAST_MS = 5_000;

/**
 * Makes a function that is told the memory of this process every now and then, and collects garbage when that has grown.
 * What quiche holds for a connection is freed only when V8 collects the small object before it. V8 sees nothing of that
 * memory, so it would not for minutes, and connections that came and went would fill it.
 */
export function createCollector(nowMs: () => number = () => performance.now()): (residentBytes: number) => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let collectedMs = nowMs();
  let leftBytes = process.memoryUsage.rss();
  return (residentBytes) => {
    if (residentBytes - leftBytes < GROWTH_BYTES || nowMs() - collectedMs < LEAST_MS) return;
    collect();
    collectedMs = nowMs();
    leftBytes = process.memoryUsage.rss();
  };
}
