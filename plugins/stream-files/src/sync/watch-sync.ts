import type { CliHost } from '@towline/contract';
import { type ErrorCode, isTowlineError, printable, TowlineError } from '@towline/protocol';
import { here } from '../copy/attempt.ts';
import { isInterruption } from '../copy/run-copy.ts';
import { Coverage } from '../tree/coverage.ts';
import { type TreeChange, treeChanges } from '../watch/tree-changes.ts';
import type { Sync } from './attempt-sync.ts';
import { type ChangeInbox, createChangeInbox } from './change-inbox.ts';
import { followDevice } from './device-changes.ts';
import { createRootGuard } from './root-guard.ts';
import { type RunOutcome, type RunParts, rest, runOnce, warnOfKept } from './run-sync.ts';
import { createRunsOwed, type RunsOwed } from './runs-owed.ts';
import type { SyncReport } from './sync-report.ts';

/** Pause before something that failed is tried anew, milliseconds. */
const RETRY_MS = 2_000;
/** Pause between two runs, milliseconds: a device that tells of changes without end does not keep this side busy. */
const BREATH_MS = 50;
/** After a run over the whole tree, what a look finds waits for so many times what that took: such runs take a tenth of the time at most. */
const WHOLE_RUN_SHARE = 9;
/** But no longer than this, milliseconds. */
const LONGEST_DELAY_MS = 600_000;
/** Pause after a run that was given up for what was heard meanwhile, milliseconds, and how many in a row are. */
const AFTER_GIVEN_UP_MS = 5_000;
const MOST_GIVEN_UP = 5;
/** Exit code after SIGINT or SIGTERM. */
const INTERRUPTED = 130;
/** Errors of the folders themselves, which somebody may mend while this waits. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['file_missing', 'file_failed']);

/** What following works with. */
export interface WatchParts {
  readonly host: CliHost;
  readonly sync: Sync;
  readonly report: SyncReport;
}

/** A watch, from its beginning to its end. */
interface Watching extends RunParts {
  readonly teller: Teller;
  readonly owed: RunsOwed;
  /** Runs in a row that were given up. */
  readonly givenUp: { count: number };
}

/**
 * Makes the target like the source, and again after each change of the source, one run after the other, until it is interrupted. The
 * first run must be possible; later it waits for whatever is missing. Resolves with the exit code. @throws TowlineError.
 */
export async function watchSync(parts: WatchParts): Promise<number> {
  const { host, report } = parts;
  try {
    await follow(parts);
  } catch (error) {
    if (!host.signal.aborted) throw error;
  }
  report.finish();
  return INTERRUPTED;
}

async function follow({ host, sync, report }: WatchParts): Promise<void> {
  const patience = { hasBegun: false, giveUpMs: Number.POSITIVE_INFINITY };
  const guard = createRootGuard(sync);
  const [teller, owed] = [createTeller(report), createRunsOwed(sync)];
  const watching: Watching = { host, sync, report, patience, guard, teller, owed, givenUp: { count: 0 } };
  while (!host.signal.aborted) {
    try {
      await followOnce(watching);
    } catch (error) {
      if (!canGoOn(error, watching)) throw error;
      teller.tell(`${printable((error as Error).message)} Changes are followed when the way is back.`);
      await rest(RETRY_MS, host.signal);
    }
  }
}

/** Hears of changes and carries them out, until one of the two fails. */
async function followOnce(watching: Watching): Promise<never> {
  const over = new AbortController();
  const inbox = createChangeInbox();
  const signal = AbortSignal.any([watching.host.signal, over.signal]);
  const listening = listen({ ...watching, host: { ...watching.host, signal } }, inbox).then(
    () => inbox.fail(new TowlineError('cancelled')),
    inbox.fail,
  );
  try {
    for (;;) {
      await carryOut(watching, inbox, await inbox.take());
      await rest(BREATH_MS, watching.host.signal);
    }
  } finally {
    over.abort();
    await listening;
  }
}

async function listen({ host, sync, patience, teller }: Watching, inbox: ChangeInbox): Promise<void> {
  if (sync.direction === 'from device') {
    const onOpened = () => {
      patience.hasBegun = true;
      teller.forget();
    };
    return followDevice({ host, sync, onOpened, onChange: inbox.put });
  }
  for await (const change of treeChanges({ path: here(sync.source), excludes: sync.excludes, signal: host.signal })) inbox.put(change);
}

/** Runs for one change, and for what earlier runs have left. */
async function carryOut(watching: Watching, inbox: ChangeInbox, change: TreeChange): Promise<void> {
  const { report, owed, teller } = watching;
  const { isComplete, coverage, isLook } = change;
  if (!isComplete) teller.tellOnce('Not every folder can be watched; the tree is looked at every few seconds as well.');
  for (let next: Coverage | null = owed.with(coverage); next !== null; ) {
    const startedAt = performance.now();
    const outcome = isLook ? await runUnlessHeard(watching, inbox, change) : await runUntilDone(watching, next);
    if (outcome === null) return;
    // What cannot be watched is found by looks only.
    if (outcome.coverage.isWhole && isComplete)
      inbox.delayLooks(Math.min((performance.now() - startedAt) * WHOLE_RUN_SHARE, LONGEST_DELAY_MS));
    next = owed.settle(outcome, report.isDeletingOff);
  }
}

/** A run over the whole tree, that gives way to what is heard meanwhile: null then, and it is made later. */
async function runUnlessHeard(watching: Watching, inbox: ChangeInbox, look: TreeChange): Promise<RunOutcome | null> {
  const { host, givenUp } = watching;
  const stop = new AbortController();
  if (givenUp.count < MOST_GIVEN_UP) inbox.onHeard(() => stop.abort());
  try {
    const signal = AbortSignal.any([host.signal, stop.signal]);
    const outcome = await runUntilDone({ ...watching, host: { ...host, signal } }, Coverage.whole());
    givenUp.count = 0;
    return outcome;
  } catch (error) {
    if (!stop.signal.aborted || host.signal.aborted) throw error;
    givenUp.count += 1;
    inbox.delayLooks(AFTER_GIVEN_UP_MS);
    inbox.put(look);
    return null;
  } finally {
    inbox.onHeard(null);
  }
}

/** One run, repeated while a folder is missing or cannot be used. */
async function runUntilDone(run: Watching, coverage: Coverage): Promise<RunOutcome> {
  for (let wanted = coverage; ; wanted = Coverage.whole()) {
    try {
      const outcome = await runOnce(run, wanted);
      run.report.finishRun();
      run.teller.forget();
      warnOfKept(run.sync, run.report);
      return outcome;
    } catch (error) {
      if (!canGoOn(error, run)) throw error;
      run.teller.tell(`${printable((error as Error).message)} It is tried again.`);
    }
    await rest(RETRY_MS, run.host.signal);
  }
}

function canGoOn(error: unknown, { host, patience }: RunParts): boolean {
  return patience.hasBegun && !host.signal.aborted && (isInterruption(error) || (isTowlineError(error) && MENDABLE.has(error.code)));
}

/** Says each thing once, until something else happens. */
interface Teller {
  tell(text: string): void;
  /** Says it once at all. */
  tellOnce(text: string): void;
  forget(): void;
}

function createTeller(report: SyncReport): Teller {
  let last = '';
  const told = new Set<string>();
  return {
    tell(text) {
      if (text !== last) report.note(text);
      last = text;
    },
    tellOnce(text) {
      if (!told.has(text)) report.note(text);
      told.add(text);
    },
    forget() {
      last = '';
    },
  };
}
