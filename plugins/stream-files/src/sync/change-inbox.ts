import { Coverage } from '../tree/coverage.ts';
import type { TreeChange } from '../watch/tree-changes.ts';

/** What a look has found waits no longer than this for a moment in which nothing is heard, milliseconds. */
const LOOK_WAITS_MS = 60_000;

/** Changes of a tree that were told and not taken: those of one moment, or of one run, are one. */
export interface ChangeInbox {
  put(change: TreeChange): void;
  /** Nothing more comes. */
  fail(error: unknown): void;
  /** Waits for a change; what was heard of comes before what a look has found, for a minute: then both are one. @throws what it failed with. */
  take(): Promise<TreeChange>;
  /** What a look has found is taken no earlier than in so many milliseconds. */
  delayLooks(ms: number): void;
  /** Calls back when a change is heard of, until it is called with null. */
  onHeard(call: (() => void) | null): void;
}

/** An empty inbox. */
export function createChangeInbox(): ChangeInbox {
  let heard = new Coverage();
  let [isComplete, hasLook, looksAt] = [true, false, 0];
  let failure: { readonly error: unknown } | null = null;
  let [wake, tell]: [() => void, (() => void) | null] = [() => {}, null];
  const next = (): TreeChange | null => {
    if (failure !== null) throw failure.error;
    const lookIsDueMs = hasLook ? performance.now() - looksAt : Number.NEGATIVE_INFINITY;
    if (!heard.isEmpty) {
      // Where something is heard all the while there is no such moment, and nothing else finds what was missed.
      const isLate = lookIsDueMs >= LOOK_WAITS_MS;
      const coverage = isLate ? Coverage.whole() : heard;
      heard = new Coverage();
      hasLook &&= !isLate;
      return { isComplete, coverage, isLook: false };
    }
    if (lookIsDueMs < 0) return null;
    hasLook = false;
    return { isComplete, coverage: Coverage.whole(), isLook: true };
  };
  const sleep = async () => {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (hasLook) timer = setTimeout(resolve, Math.max(1, looksAt - performance.now()));
    });
    clearTimeout(timer);
  };
  return {
    put(change) {
      isComplete = change.isComplete;
      if (change.isLook) {
        if (!hasLook) looksAt = Math.max(looksAt, performance.now());
        hasLook = true;
      } else heard.add(change.coverage);
      if (!change.isLook) tell?.();
      wake();
    },
    fail(error) {
      failure = { error };
      wake();
    },
    async take() {
      for (;;) {
        const change = next();
        if (change !== null) return change;
        await sleep();
      }
    },
    delayLooks(ms) {
      looksAt = performance.now() + ms;
    },
    onHeard(call) {
      tell = call;
    },
  };
}
