import type { Excludes } from '../tree/excludes.ts';
import { TreeWatch } from './watch-tree.ts';

/** Changes closer than this are one, milliseconds: an editor writes beside, renames and sets times. */
const QUIET_MS = 80;
/** Changes that go on and on are told at least so often, milliseconds. */
const LONGEST_WAIT_MS = 400;
/** A tree that is quiet is looked at anew so often, milliseconds: the system may have lost events. */
const RESCAN_MS = 60_000;
/** What cannot be watched whole is looked at so often, milliseconds. */
const POLL_MS = 2_000;

/** What is watched. */
export interface WatchedTree {
  readonly path: string;
  readonly excludes: Excludes;
  readonly signal: AbortSignal;
}

/**
 * Tells when a tree should be read: at once, and then whenever something in it may have changed, changes of a moment together. What
 * changes while the taker is busy is told when it asks again. `isComplete` is false while not everything can be watched; the tree is told
 * every few seconds then. Ends with the signal.
 */
export async function* treeChanges({ path, excludes, signal }: WatchedTree): AsyncGenerator<{ readonly isComplete: boolean }> {
  const pending = createPending(signal);
  const watch = new TreeWatch({ path, excludes, onChange: pending.note });
  try {
    let anew = true;
    while (!signal.aborted) {
      pending.clear();
      const isComplete = await watch.refresh(anew);
      if (signal.aborted) return;
      yield { isComplete };
      anew = !(await pending.wait(isComplete ? RESCAN_MS : POLL_MS));
    }
  } finally {
    watch.close();
    pending.close();
  }
}

interface Pending {
  note(): void;
  clear(): void;
  /** Waits for a change, and then until it is quiet. False when none came in that time, or the signal aborted. */
  wait(longestMs: number): Promise<boolean>;
  close(): void;
}

function createPending(signal: AbortSignal): Pending {
  let [firstAt, lastAt] = [0, 0];
  let wake = () => {};
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (signal.aborted) wake();
    });
  return {
    note() {
      lastAt = performance.now();
      if (firstAt !== 0) return;
      firstAt = lastAt;
      wake();
    },
    clear() {
      firstAt = 0;
    },
    async wait(longestMs) {
      if (firstAt === 0) await sleep(longestMs);
      if (firstAt === 0) return false;
      for (;;) {
        const now = performance.now();
        const leftMs = Math.min(lastAt + QUIET_MS, firstAt + LONGEST_WAIT_MS) - now;
        if (leftMs <= 0 || signal.aborted) return true;
        await sleep(leftMs);
      }
    },
    close: () => signal.removeEventListener('abort', onAbort),
  };
}
