import type { Log } from '@towline/contract';
import { printable } from '@towline/protocol';

/** Lines a second, after which the rest is counted: a flooding peer must not fill the disk of the device. */
const MAX_LINES_PER_SECOND = 50;
// The secret of an API key; its public part says which one it was.
const KEY_SECRET = /(twl_[ude]_[0-9a-f]{16})_[0-9a-f]{64}/g;

/** What {@link createLog} takes. */
export interface LogOptions {
  readonly write: (line: string) => void;
  /** Monotonic time, milliseconds. */
  readonly monotonicMs: () => number;
  /** Whether debug lines are written. */
  readonly debug?: boolean;
}

/** A log for people and for journald: one line of text an entry, safe for a terminal, without secrets, bounded in rate. */
export function createLog(options: LogOptions): Log {
  const limit = createRateLimit(options);
  const log =
    (head: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      if (limit()) options.write(formatLine(head, message, fields));
    };
  return {
    debug: options.debug ? log('debug: ') : () => {},
    info: log(''),
    warn: log('warning: '),
    error: log('error: '),
  };
}

/** True while a line may be written. The first line after a flood is preceded by the count of those left out. */
function createRateLimit({ write, monotonicMs }: LogOptions): () => boolean {
  let windowStartMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  return () => {
    const nowMs = monotonicMs();
    if (nowMs - windowStartMs >= 1_000) {
      if (lines > MAX_LINES_PER_SECOND) write(`warning: ${lines - MAX_LINES_PER_SECOND} lines were left out\n`);
      windowStartMs = nowMs;
      lines = 0;
    }
    lines += 1;
    return lines <= MAX_LINES_PER_SECOND;
  };
}

function formatLine(head: string, message: string, fields: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${formatValue(value)}`);
  return `${printable(`${head}${message}${parts.join('')}`).replace(KEY_SECRET, '$1_…')}\n`;
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
