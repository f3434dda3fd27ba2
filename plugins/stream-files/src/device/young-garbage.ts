import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Content after which young garbage is collected, bytes. Each chunk is memory outside of V8's heap, behind an object of a few bytes in it; left to
 * itself V8 collects the whole heap for it, again and again. Links have the like of their own (core/link/src/mux/young-garbage.ts), measured by
 * what is held; that package is more than this program should load at each start.
 */
const EVERY_BYTES = 16_777_216;

/** Makes a function that is told how many bytes of content were moved, and collects young garbage every now and then. For a program of its own. */
export function createYoungCollector(): (bytes: number) => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  let left = EVERY_BYTES;
  return (bytes) => {
    left -= bytes;
    if (left > 0) return;
    left = EVERY_BYTES;
    collect({ type: 'minor' });
  };
}
