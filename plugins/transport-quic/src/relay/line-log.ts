import type { Readable } from 'node:stream';
import type { Log } from '@towline/contract';

/** Longest line that is kept, characters. */
const MAX_LINE = 2_000;
/** Lines in a minute; more would be a flood. */
const LINES_PER_MINUTE = 20;
const MINUTE_MS = 60_000;

/** Logs what a process writes, line by line, as far as that is no flood. */
export function logLines(output: Readable, log: Log, message: string): void {
  let rest = '';
  let windowMs = Number.NEGATIVE_INFINITY;
  let lines = 0;
  const write = (line: string) => {
    const nowMs = performance.now();
    if (nowMs - windowMs > MINUTE_MS) {
      windowMs = nowMs;
      lines = 0;
    }
    lines += 1;
    if (line.trim() !== '' && lines <= LINES_PER_MINUTE) log.warn(message, { line: line.slice(0, MAX_LINE) });
  };
  output.setEncoding('utf8');
  output.on('error', () => undefined);
  output.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop()!.slice(0, MAX_LINE);
    for (const part of parts) write(part);
  });
  output.on('end', () => write(rest));
}
