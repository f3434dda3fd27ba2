import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Traffic after which young garbage is collected, bytes. Every chunk that is read is memory outside of V8's heap, behind an object of
 * a few bytes in it. V8 collects young objects when they fill megabytes, which those of a bulk transfer hardly do; what it does
 * instead is a whole collection for every 64 MiB outside. That took half of the processor time of a forwarded flow.
 */
const EVERY_BYTES = 16_777_216;

type Collect = (options: { readonly type: 'minor' }) => void;

/** The one collector of the process. */
let collect: Collect | undefined;

/** Makes a function that is told the bytes of a link so far, and collects young garbage every now and then. */
export function createYoungCollector(): (totalBytes: number) => void {
  let nextBytes = EVERY_BYTES;
  return (totalBytes) => {
    if (totalBytes < nextBytes) return;
    nextBytes = totalBytes + EVERY_BYTES;
    collect ??= exposeCollector();
    collect({ type: 'minor' });
  };
}

function exposeCollector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
