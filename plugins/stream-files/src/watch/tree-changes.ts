import type { Excludes } from '../tree/excludes.ts';
import { markOf } from './tree-mark.ts';
import { TreeWatch } from './watch-tree.ts';

/** Changes closer than this are one, milliseconds: an editor writes beside, renames and sets times. */
const QUIET_MS = 80;
/** Changes that go on and on are told at least so often, milliseconds. */
const LONGEST_WAIT_MS = 400;
/** A tree that is quiet is looked at anew so often, milliseconds: the system may have lost events. */
const RESCAN_MS = 60_000;
/** What cannot be watched whole is looked at so often, milliseconds. */
const POLL_MS = 2_000;
/** The pause between two such looks is so many times what a look takes. */
const POLL_SHARE = 5;

interface Round {
  readonly isComplete: boolean;
  /** Whether the system told of a change, or it is the first look. */
  readonly hasHeard: boolean;
  /** Mark of the tree at the last look that nobody had asked for. */
  readonly mark: string | null;
  readonly isFirst: boolean;
}

/** What is watched. */
export interface WatchedTree {
  readonly path: string;
  readonly excludes: Excludes;
  readonly signal: AbortSignal;
}

/**
 * Tells when a tree should be read: at once, and then whenever something in it may have changed, changes of a moment together. What
 * changes while the taker is busy is told when it asks again. A tree of which nothing is heard is looked at all the same, now and then; while
 * not everything can be watched (`isComplete` is false) every few seconds. Ends with the signal.
 */
export async function* treeChanges({ path, excludes, signal }: WatchedTree): AsyncGenerator<{ readonly isComplete: boolean }> {
  const pending = createPending(signal);
  const watch = new TreeWatch({ path, excludes, onChange: pending.note });
  try {
    for (let round: Round = { isComplete: true, hasHeard: true, mark: null, isFirst: true }; !signal.aborted; ) {
      pending.clear();
      const { hasHeard, isFirst } = round;
      const isComplete = await watch.refresh(isFirst || (!hasHeard && round.isComplete));
      const startedAt = performance.now();
      const mark: string | null = hasHeard ? round.mark : await markOf(path, excludes);
      const tookMs = performance.now() - startedAt;
      if (signal.aborted) return;
      if (hasHeard || mark !== round.mark) yield { isComplete };
      const longestMs = isComplete ? RESCAN_MS : Math.max(POLL_MS, tookMs * POLL_SHARE);
      round = { isComplete, hasHeard: await pending.wait(longestMs), mark, isFirst: false };
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
