import { setTimeout as pause } from 'node:timers/promises';
import type { CliHost, CliInvocation } from '@towline/contract';
import { printable, TowlineError } from '@towline/protocol';
import { isInterruption } from '../copy/run-copy.ts';
import { attemptSync, type Sync } from './attempt-sync.ts';
import { planSync } from './plan-sync.ts';
import { SyncReport } from './sync-report.ts';
import { watchSync } from './watch-sync.ts';

/** How long a sync that was interrupted waits for the way to the device to come back, milliseconds; with --watch it waits for ever. */
const GIVE_UP_MS = 120_000;
/** Pauses between attempts, milliseconds: they double up to the longest. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Makes one folder like another. Resolves with the exit code. @throws TowlineError. */
export async function runSync(invocation: Omit<CliInvocation, 'device'>, hostOf: (device: string) => CliHost): Promise<number> {
  const sync = planSync(invocation);
  const host = hostOf(sync.device);
  const report = new SyncReport(host, sync);
  try {
    if (invocation.options.watch === true) return await watchSync({ host, sync, report });
    await runOnce({ host, sync, report, patience: { hasBegun: false, giveUpMs: GIVE_UP_MS } });
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
  /** Whether the device was reached before: what keeps a first attempt from being made is an error at once. */
  readonly patience: { hasBegun: boolean; readonly giveUpMs: number };
}

/** Makes the target like the source once; when the way to the device is interrupted, it goes on as soon as that is back. @throws TowlineError. */
export async function runOnce({ host, sync, report, patience }: RunParts): Promise<void> {
  let [lastHeard, pauseMs] = [performance.now(), FIRST_PAUSE_MS];
  for (let hasTold = false; ; hasTold = true) {
    const heard = () => {
      [lastHeard, pauseMs] = [performance.now(), FIRST_PAUSE_MS];
    };
    const onOpened = () => {
      patience.hasBegun = true;
      heard();
    };
    const observer = report.attempt();
    const onBytes: typeof observer.onBytes = (count, kind) => {
      heard();
      observer.onBytes?.(count, kind);
    };
    try {
      return await attemptSync({ host, sync, observer: { ...observer, onBytes }, onOpened });
    } catch (error) {
      if (!patience.hasBegun || host.signal.aborted || !isInterruption(error)) throw error;
      if (performance.now() - lastHeard > patience.giveUpMs) throw error;
      if (!hasTold) report.note(`${printable((error as Error).message)} The sync goes on when the way is back.`);
    }
    await rest(pauseMs, host.signal);
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Waits. @throws TowlineError `cancelled` when it is interrupted. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {
    throw new TowlineError('cancelled');
  });
}
