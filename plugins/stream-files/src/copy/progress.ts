import type { CliHost } from '@towline/contract';
import { byteText, timeText } from './byte-text.ts';
import type { CopyFigures } from './copy-report.ts';

/** Time between two pictures of the bar, milliseconds. */
const REDRAW_MS = 200;
/** Time between two progress events, milliseconds. */
const EVENT_MS = 1_000;
/** Cells of the bar. */
const CELLS = 20;
/** How fast the rate follows, a second: the last few seconds count. */
const RATE_WEIGHT = 0.3;
/** Columns of a terminal that does not say. */
const DEFAULT_COLUMNS = 80;

/** Shows how far a copy is: a line on a terminal, events with --json, nothing elsewhere. */
export interface Progress {
  /** Takes the line away, so that something else can be printed. */
  clear(): void;
  stop(): void;
}

/** Whether anybody sees how far a copy is: for nobody else the source is counted beforehand, which takes as long as announcing it. */
export function isProgressShown(host: CliHost): boolean {
  return host.json || host.stderr.isTTY === true;
}

/** Starts to show. */
export function showProgress(host: CliHost, figures: () => CopyFigures): Progress {
  if (host.json) return repeat(EVENT_MS, () => void host.stdout.write(`${JSON.stringify({ event: 'progress', ...eventOf(figures()) })}\n`));
  if (!isProgressShown(host)) return { clear() {}, stop() {} };
  const rate = createRate();
  const clear = () => void host.stderr.write('\r\u001b[K');
  const shown = repeat(REDRAW_MS, () => {
    const line = lineOf(figures(), rate);
    host.stderr.write(`\r${line.slice(0, (host.stderr.columns ?? DEFAULT_COLUMNS) - 1)}\u001b[K`);
  });
  return {
    clear,
    stop: () => {
      shown.stop();
      clear();
    },
  };
}

function repeat(everyMs: number, show: () => void): Progress {
  const timer = setInterval(show, everyMs);
  timer.unref();
  return { clear() {}, stop: () => clearInterval(timer) };
}

function eventOf({ files, totalFiles, bytes, totalBytes }: CopyFigures) {
  return { files, total_files: totalFiles, bytes, total_bytes: totalBytes };
}

function lineOf({ files, totalFiles, bytes, totalBytes, moved }: CopyFigures, rate: (moved: number) => number): string {
  const perSecond = rate(moved);
  const done = totalBytes === null ? null : totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes);
  const filled = done === null ? 0 : Math.floor(done * CELLS);
  const bar = done === null ? '' : `[${'#'.repeat(filled)}${'.'.repeat(CELLS - filled)}] ${String(Math.floor(done * 100)).padStart(3)}%  `;
  const amount = totalBytes === null ? byteText(bytes) : `${byteText(bytes)} of ${byteText(totalBytes)}`;
  const count = totalFiles !== null && totalFiles > 1 ? `, ${files} of ${totalFiles} files` : totalFiles === null ? `, ${files} files` : '';
  const left = totalBytes !== null && perSecond > 0 ? `  ${timeText((totalBytes - bytes) / perSecond)} left` : '';
  return `${bar}${amount}${count}  ${byteText(Math.round(perSecond))}/s${left}`;
}

/** Bytes a second, the last few seconds counting most. */
function createRate(): (moved: number) => number {
  let last = { at: performance.now(), moved: 0 };
  let rate = 0;
  return (moved) => {
    const now = performance.now();
    const seconds = (now - last.at) / 1_000;
    if (seconds <= 0) return rate;
    const weight = rate === 0 ? 1 : 1 - (1 - RATE_WEIGHT) ** seconds;
    rate += ((moved - last.moved) / seconds - rate) * weight;
    last = { at: now, moved };
    return rate;
  };
}
