import { Coverage } from '../tree/coverage.ts';
import type { Sync } from './attempt-sync.ts';
import type { RunOutcome } from './run-sync.ts';

/** Runs in a row that fill folders which the receiver has lost: somebody removes them all the while. */
const MOST_IN_A_ROW = 3;

/** What earlier runs of a watch have left for later ones. */
export interface RunsOwed {
  /** How much the next run is about: this, and where something failed before. */
  with(coverage: Coverage): Coverage;
  /** Takes the end of a run in. Answers how much is to be gone through once more, at once; null: nothing. */
  settle(outcome: RunOutcome, isDeletingOff: boolean): Coverage | null;
}

/** Nothing owed yet. */
export function createRunsOwed(sync: Pick<Sync, 'delete'>): RunsOwed {
  let failed = new Coverage();
  /** Where nothing was deleted because something failed. */
  let withheld = new Coverage();
  let inARow = 0;
  const withFailed = (coverage: Coverage) => {
    const all = new Coverage();
    all.add(coverage);
    all.add(failed);
    return all;
  };
  return {
    with(coverage) {
      inARow = 0;
      return withFailed(coverage);
    },
    settle({ coverage, unsettled }, isDeletingOff) {
      failed = unsettled.failed;
      const again = new Coverage();
      inARow += 1;
      if (inARow <= MOST_IN_A_ROW) again.add(unsettled.missing);
      if (sync.delete && isDeletingOff) withheld.add(coverage);
      else {
        if (!coverage.isWhole) again.add(withheld);
        withheld = new Coverage();
      }
      return again.isEmpty ? null : withFailed(again);
    },
  };
}
