import type { CliHost } from '@towline/contract';
import { type ErrorCode, isTowlineError, printable } from '@towline/protocol';
import { here } from '../copy/attempt.ts';
import { isInterruption } from '../copy/run-copy.ts';
import { treeChanges } from '../watch/tree-changes.ts';
import type { Sync } from './attempt-sync.ts';
import { deviceChanges } from './device-changes.ts';
import { type RunParts, rest, runOnce, warnOfKept } from './run-sync.ts';
import type { SyncReport } from './sync-report.ts';

/** Pause before something that failed is tried anew, milliseconds. */
const RETRY_MS = 2_000;
/** Pause between two runs, milliseconds: a device that tells of changes without end does not keep this side busy. */
const BREATH_MS = 50;
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
  const teller = createTeller(report);
  const run = { host, sync, report, patience };
  let hasWarned = false;
  while (!host.signal.aborted) {
    try {
      for await (const { isComplete } of changesOf(run, teller)) {
        if (!isComplete && !hasWarned) report.note('Not every folder can be watched; the tree is looked at every few seconds as well.');
        hasWarned ||= !isComplete;
        await runUntilDone(run, teller);
        await rest(BREATH_MS, host.signal);
      }
    } catch (error) {
      if (!canGoOn(error, run)) throw error;
      teller.tell(`${printable((error as Error).message)} Changes are followed when the way is back.`);
      await rest(RETRY_MS, host.signal);
    }
  }
}

function changesOf({ host, sync, patience }: RunParts, teller: Teller): AsyncGenerator<{ readonly isComplete: boolean }> {
  const { excludes } = sync;
  if (sync.direction === 'from device') {
    const onOpened = () => {
      patience.hasBegun = true;
      teller.forget();
    };
    return deviceChanges({ host, sync, onOpened });
  }
  return treeChanges({ path: here(sync.source), excludes, signal: host.signal });
}

/** One run, repeated while a folder is missing or cannot be used. */
async function runUntilDone(run: RunParts, teller: Teller): Promise<void> {
  for (;;) {
    try {
      await runOnce(run);
      run.report.finishRun();
      teller.forget();
      return warnOfKept(run.sync, run.report);
    } catch (error) {
      if (!canGoOn(error, run)) throw error;
      teller.tell(`${printable((error as Error).message)} It is tried again.`);
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
  forget(): void;
}

function createTeller(report: SyncReport): Teller {
  let last = '';
  return {
    tell(text) {
      if (text !== last) report.note(text);
      last = text;
    },
    forget() {
      last = '';
    },
  };
}
