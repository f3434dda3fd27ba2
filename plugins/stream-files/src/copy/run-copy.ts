import { basename } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CliHost, CliInvocation } from '@towline/contract';
import { type ErrorCode, isTowlineError, printable, TowlineError } from '@towline/protocol';
import { attemptCopy, type Copy } from './attempt.ts';
import { CopyReport } from './copy-report.ts';
import { planCopy } from './place.ts';
import { createRetries, GIVE_UP_MS } from './retries.ts';

/** Errors that mean that the way is interrupted. */
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'link_lost',
  'link_closed',
  'link_silent',
  'stream_reset',
  'session_broken',
  'device_lost',
  'device_offline',
  'device_replaced',
  'relay_unreachable',
  'unavailable',
  'timeout',
]);

/** Copies what the words name. Resolves with the exit code. @throws TowlineError. */
export async function runCopy({ args }: Omit<CliInvocation, 'device'>, hostOf: (device: string) => CliHost): Promise<number> {
  const plan = planCopy(args);
  const { direction, device, sources } = plan;
  // Several things go into a folder, never onto each other.
  const target = sources.length > 1 && !plan.target.endsWith('/') ? `${plan.target}/` : plan.target;
  const host = hostOf(device);
  const report = new CopyReport(host);
  try {
    for (const source of sources) await copyOne(host, { direction, device, source, target }, report);
    return report.finish();
  } finally {
    report.stop();
  }
}

/** Copies one source; when the way to the device is interrupted, it goes on as soon as that is back. */
async function copyOne(host: CliHost, copy: Copy, report: CopyReport): Promise<void> {
  const retries = createRetries({ giveUpMs: GIVE_UP_MS, now: () => performance.now() });
  let [exact, hasBegun, isTold] = [false, false, false];
  const name = basename(copy.source) || copy.source;
  for (;;) {
    const observer = report.attempt(name);
    const heard = () => {
      retries.works();
      isTold = false;
    };
    const onOpened = () => {
      hasBegun = true;
      heard();
    };
    const onReady = (into: boolean) => {
      if (!into) exact = true;
    };
    const onBytes: typeof observer.onBytes = (count, kind) => {
      heard();
      observer.onBytes?.(count, kind);
    };
    let pauseMs: number | null;
    try {
      await attemptCopy({ host, copy, exact, observer: { ...observer, onReady, onBytes }, onOpened });
      return report.finishSource();
    } catch (error) {
      if (!hasBegun || host.signal.aborted || !isInterruption(error)) throw error;
      pauseMs = retries.next();
      if (pauseMs === null) throw gaveUp(error);
      if (!isTold) report.note(`${printable((error as Error).message)} The copy goes on when the way is back.`);
      isTold = true;
    }
    await pause(pauseMs, undefined, { signal: host.signal }).catch(() => {
      throw new TowlineError('cancelled');
    });
  }
}

/** Whether an error means that the way to the device is interrupted. */
export function isInterruption(error: unknown): boolean {
  return isTowlineError(error) && INTERRUPTIONS.has(error.code);
}

function gaveUp(error: unknown): unknown {
  if (!isTowlineError(error)) return error;
  return new TowlineError(error.code, error.message, {
    hint: 'Run the same command again: it goes on with what has arrived.',
    cause: error,
  });
}
