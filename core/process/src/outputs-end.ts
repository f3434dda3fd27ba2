import type { Readable } from 'node:stream';
import { finished } from 'node:stream';

/** How long outputs are waited for. */
export interface OutputWait {
  /** Outputs that stay open without a byte for so long are given up, milliseconds. */
  readonly silenceMs: number;
  /** Gives up at once. */
  readonly signal: AbortSignal;
}

/**
 * Waits until outputs end, of a program that has itself ended. A process it left behind may hold them open: as long
 * as that one writes, it is listened to; when it is silent, it is not waited for. Time in which the reader on our side
 * has no room is no silence.
 */
export function outputsEnd(outputs: readonly Readable[], { silenceMs, signal }: OutputWait): Promise<void> {
  const open = new Set(outputs);
  return new Promise((resolve) => {
    const stops = outputs.map((output) =>
      finished(output, { writable: false }, () => {
        open.delete(output);
        if (open.size === 0) finish();
      }),
    );
    const timer = setTimeout(look, silenceMs);
    const heard = () => void timer.refresh();
    function look(): void {
      if ([...open].some((output) => output.isPaused())) timer.refresh();
      else finish();
    }
    function finish(): void {
      clearTimeout(timer);
      for (const stop of stops) stop();
      for (const output of outputs) output.off('data', heard).off('resume', heard);
      signal.removeEventListener('abort', finish);
      resolve();
    }
    for (const output of outputs) output.on('data', heard).on('resume', heard);
    signal.addEventListener('abort', finish);
    if (signal.aborted || outputs.length === 0) finish();
  });
}
