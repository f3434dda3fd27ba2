import type { Colours } from '../output/colours.ts';
import type { Output } from '../output/output.ts';
import { shown } from '../output/terminal-text.ts';
import type { Status } from './finding.ts';
import type { NamedFinding } from './run-checks.ts';

/** Widths of the first two columns: the longest status and the longest name of a check, with a gap. */
const STATUS_WIDTH = 9;
const NAME_WIDTH = 13;
/** Longest text of a finding that is shown: what a relay says goes into it. */
const MOST_TEXT = 600;

/** Prints a finding: its status, its check and its message, and below it what to do. */
export function printFinding(output: Output, { check, status, message, hint }: NamedFinding): void {
  const paint = COLOURS[status](output.colours);
  output.line(`${paint(status.padEnd(STATUS_WIDTH))}${check.padEnd(NAME_WIDTH)}${oneLine(message)}`);
  if (hint !== null) output.line(`${' '.repeat(STATUS_WIDTH + NAME_WIDTH)}${oneLine(hint)}`);
}

const COLOURS: Readonly<Record<Status, (colours: Colours) => (text: string) => string>> = Object.freeze({
  ok: (colours) => colours.green,
  warning: (colours) => colours.yellow,
  failed: (colours) => colours.red,
  skipped: () => (text) => text,
});

/** A list of faults stands on several lines. */
function oneLine(text: string): string {
  return shown(text.trim().replace(/\s*\n\s*/g, ' '), MOST_TEXT);
}
