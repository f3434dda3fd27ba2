import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Growth of memory outside of V8's heap after which young garbage is collected, bytes. Every chunk that is read is such memory, behind an
 * object of a few bytes in the heap. V8 collects young objects when they fill megabytes, which those of a bulk transfer hardly do; what
 * it does instead is a whole collection, whenever the memory outside and inside has grown by some 16 MiB since the last one. That
 * took a third of the processor time of a forwarded flow.
 */
const COLLECT_AFTER_BYTES = 4_194_304;
/** Traffic between two looks, bytes: a look takes microseconds. */
const LOOK_EVERY_BYTES = 1_048_576;

/**
 * How these collections are done: by this thread alone. There is little to look at, and to wake helpers and wait for them takes longer
 * than the work.
 */
const ALONE = ['--no-parallel-scavenge', '--no-concurrent-array-buffer-sweeping'];
const AS_USUAL = ['--parallel-scavenge', '--concurrent-array-buffer-sweeping'];

type Collect = (options: { readonly type: 'minor' }) => void;

/** The one collector of the process. */
let collect: Collect | undefined;
let trafficBytes = 0;
let leftBytes = 0;

/** Tells of bytes that a link took in or sent, and collects young garbage every now and then. */
export function countTraffic(bytes: number): void {
  trafficBytes += bytes;
  if (trafficBytes < LOOK_EVERY_BYTES) return;
  trafficBytes = 0;
  const outsideBytes = getHeapStatistics().external_memory;
  leftBytes = Math.min(leftBytes, outsideBytes);
  if (outsideBytes < leftBytes + COLLECT_AFTER_BYTES) return;
  collectYoung();
  leftBytes = getHeapStatistics().external_memory;
}

function collectYoung(): void {
  collect ??= exposeCollector();
  for (const flag of ALONE) setFlagsFromString(flag);
  collect({ type: 'minor' });
  for (const flag of AS_USUAL) setFlagsFromString(flag);
}

function exposeCollector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
