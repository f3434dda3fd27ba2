import { setTimeout as pause } from 'node:timers/promises';
import type { CliHost, CliInvocation } from '@towline/contract';
import { printable, TowlineError } from '@towline/protocol';
import { createRetries, GIVE_UP_MS } from '../copy/retries.ts';
import { isInterruption } from '../copy/run-copy.ts';
import { Coverage } from '../tree/coverage.ts';
import { attemptSync, type Sync } from './attempt-sync.ts';
import { planSync } from './plan-sync.ts';
import type { RootGuard } from './root-guard.ts';
import { SyncReport } from './sync-report.ts';
import { noteUnsettled, type Unsettled } from './unsettled.ts';
import { watchSync } from './watch-sync.ts';

/** Makes one folder like another. Resolves with the exit code. @throws TowlineError. */
export async function runSync(invocation: Omit<CliInvocation, 'device'>, hostOf: (device: string) => CliHost): Promise<number> {
  const sync = planSync(invocation);
  const host = hostOf(sync.device);
  const report = new SyncReport(host, sync);
  try {
    if (invocation.options.watch === true) return await watchSync({ host, sync, report });
    await runOnce({ host, sync, report, guard: null, patience: { hasBegun: false, giveUpMs: GIVE_UP_MS } }, Coverage.whole());
    warnOfKept(sync, report);
    return report.finish();
  } finally {
    report.stop();
  }
}

/** With failures nothing is removed, which whoever asked for it should know. */
export function warnOfKept(sync: Sync, report: SyncReport): void {
  if (sync.delete && report.isDeletingOff) report.note('What the source lacks was not deleted: not everything could be read and written.');
}

/** What one run works with. */
export interface RunParts {
  readonly host: CliHost;
  readonly sync: Sync;
  readonly report: SyncReport;
  /** Of a watch: what the roots were. */
  readonly guard: RootGuard | null;
  /** Whether the device was reached before: what keeps a first attempt from being made is an error at once. With --watch it waits for ever. */
  readonly patience: { hasBegun: boolean; readonly giveUpMs: number };
}

/** What a run has done: how much of the source it was about at last, and what it left. */
export interface RunOutcome {
  readonly coverage: Coverage;
  readonly unsettled: Unsettled;
}

/**
 * Makes what is meant of the target like the source once; when the way to the device is interrupted, it goes on with the whole tree as soon as
 * that is back. @throws TowlineError.
 */
export async function runOnce({ host, sync, report, guard, patience }: RunParts, wanted: Coverage): Promise<RunOutcome> {
  const retries = createRetries({ giveUpMs: patience.giveUpMs, now: () => performance.now() });
  let hasTold = false;
  for (let coverage = wanted; ; coverage = Coverage.whole()) {
    const onOpened = () => {
      patience.hasBegun = true;
      retries.works();
    };
    const { observer, unsettled } = noteUnsettled(report.attempt(), coverage);
    const onBytes: typeof observer.onBytes = (count, kind) => {
      retries.works();
      observer.onBytes?.(count, kind);
    };
    let pauseMs: number | null;
    try {
      await attemptSync({ host, sync, coverage, guard, observer: { ...observer, onBytes }, onOpened });
      // Nothing is known of what else is in it.
      if (guard?.takeChange() === true && !coverage.isWhole) unsettled.missing.add(Coverage.whole());
      return { coverage, unsettled };
    } catch (error) {
      if (!patience.hasBegun || host.signal.aborted || !isInterruption(error)) throw error;
      pauseMs = retries.next();
      if (pauseMs === null) throw error;
      if (!hasTold) report.note(`${printable((error as Error).message)} The sync goes on when the way is back.`);
      hasTold = true;
    }
    await rest(pauseMs, host.signal);
  }
}

/** Waits. @throws TowlineError `cancelled` when it is interrupted. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {
    throw new TowlineError('cancelled');
  });
}
