import { Coverage } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { createPending } from './pending.ts';
import { markOf } from './tree-mark.ts';
import { TreeWatch } from './watch-tree.ts';

/** A tree is looked at anew so often, milliseconds: the system may have lost events. */
const RESCAN_MS = 60_000;
/** What cannot be watched whole is looked at so often, milliseconds. */
const POLL_MS = 2_000;
/** The pause between two looks is so many times what a look takes: 2 % of a processor, and 17 % where there are too few watches. */
const RESCAN_SHARE = 50;
const POLL_SHARE = 5;
/** Pause after a look that was given up because something was heard, milliseconds. */
const AFTER_GIVEN_UP_MS = 5_000;
/** Looks in a row that are given up so, and how late one may become where something is heard all the while, milliseconds. */
const MOST_GIVEN_UP = 5;
const LATEST_MS = 60_000;

/** Something of a tree may have changed. */
export interface TreeChange {
  /** Whether every folder of it can be watched. */
  readonly isComplete: boolean;
  /** Where. */
  readonly coverage: Coverage;
  /** Whether a look has found it: the tree is not what it was at the look before, which what was heard may account for. */
  readonly isLook: boolean;
}

/** What is watched. */
export interface WatchedTree {
  readonly path: string;
  readonly excludes: Excludes;
  readonly signal: AbortSignal;
}

/**
 * Tells when and where a tree should be read: at once, and then whenever something in it may have changed, changes of a moment together. The
 * tree is looked at all the same, now and then; while not everything can be watched (`isComplete` is false) every few seconds. Ends with the signal.
 */
export async function* treeChanges({ path, excludes, signal }: WatchedTree): AsyncGenerator<TreeChange> {
  const pending = createPending(signal);
  const watch = new TreeWatch({ path, excludes, onChange: pending.note });
  const looks = createLooks({ path, excludes, signal });
  try {
    await watch.refresh(true);
    if (!signal.aborted) yield { isComplete: watch.isComplete, coverage: Coverage.whole(), isLook: false };
    await looks.look(pending.isNoted);
    for (let hasHeardSince = false; !signal.aborted; ) {
      const hasHeard = await pending.wait(looks.leftMs(watch.isComplete));
      hasHeardSince ||= hasHeard;
      if (hasHeard) {
        pending.clear();
        const coverage = await watch.follow();
        if (!coverage.isEmpty) yield { isComplete: watch.isComplete, coverage, isLook: false };
      }
      if (signal.aborted || (hasHeard && looks.leftMs(watch.isComplete) > -LATEST_MS)) continue;
      await watch.refresh(watch.isComplete);
      const found = await looks.look(pending.isNoted);
      // Of what nobody has told, nobody else will tell.
      if (found === 'changed') yield { isComplete: watch.isComplete, coverage: Coverage.whole(), isLook: hasHeardSince };
      if (found !== 'given up') hasHeardSince = false;
    }
  } finally {
    watch.close();
    pending.close();
  }
}

/** Looks at a tree, whatever was heard of it. */
interface Looks {
  /** Milliseconds until the next one, where everything can be watched or not. */
  leftMs(isComplete: boolean): number;
  /** Whether the tree is another one than at the last look. It is given up some times, when something is heard. */
  look(hasHeard: () => boolean): Promise<'changed' | 'same' | 'given up'>;
}

function createLooks({ path, excludes, signal }: WatchedTree): Looks {
  let [lastAt, tookMs, givenUp] = [0, 0, 0];
  let last: string | null = null;
  const pauseMs = (isComplete: boolean) => {
    if (givenUp > 0) return AFTER_GIVEN_UP_MS;
    return isComplete ? Math.max(RESCAN_MS, tookMs * RESCAN_SHARE) : Math.max(POLL_MS, tookMs * POLL_SHARE);
  };
  return {
    leftMs: (isComplete) => lastAt + pauseMs(isComplete) - performance.now(),
    async look(hasHeard) {
      const startedAt = performance.now();
      const mayGiveUp = givenUp < MOST_GIVEN_UP;
      const mark = await markOf(path, { excludes, isOver: () => signal.aborted || (mayGiveUp && hasHeard()) });
      lastAt = performance.now();
      if (mark === null) {
        givenUp += 1;
        return 'given up';
      }
      [tookMs, givenUp] = [lastAt - startedAt, 0];
      const hasChanged = mark !== last;
      last = mark;
      return hasChanged ? 'changed' : 'same';
    },
  };
}
