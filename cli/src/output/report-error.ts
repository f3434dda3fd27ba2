import { isTowlineError, printable, TowlineError, toTowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { jsonText } from './terminal-text.ts';

/** How an error is to be shown. */
export interface ErrorStyle {
  readonly json: boolean;
  readonly verbose: boolean;
}

/** Reports what was thrown on stderr. @returns the exit code it stands for; `failureExit` where the command has one of its own. */
export function reportTo(
  host: Pick<Host, 'stderr' | 'signal'>,
  thrown: unknown,
  style: ErrorStyle & { readonly failureExit?: number | undefined },
): number {
  // Whatever broke because we were interrupted, the interruption is what happened.
  const error = host.signal.aborted ? new TowlineError('cancelled', undefined, { cause: thrown }) : toTowlineError(thrown);
  host.stderr.write(errorText(error, style));
  return error.code === 'cancelled' ? error.exit : (style.failureExit ?? error.exit);
}

/** Text of an error for stderr: what happened, then what to do. With `json` one line of JSON instead. */
export function errorText(error: TowlineError, style: ErrorStyle): string {
  if (style.json) return `${jsonText({ error: error.toPublic() })}\n`;
  const lines = [
    ...safeLines(error.message),
    ...safeLines(hintOf(error)).map((line) => `  ${line}`),
    ...(style.verbose ? causes(error) : []),
  ];
  return `towline: ${lines.join('\n')}\n`;
}

/** Lines after the first are indented, so that no text from elsewhere can pose as a line of ours. */
function safeLines(text: string): string[] {
  return text.split('\n').map((line, at) => (at === 0 ? printable(line) : `  ${printable(line)}`));
}

/** An error of this very program has no log to look into. */
function hintOf(error: TowlineError): string {
  return error.code === 'internal' && error.detail !== undefined
    ? 'This is a fault of the program. Run it again with -v for the detail.'
    : error.hint;
}

function causes(error: TowlineError): string[] {
  const lines = [`  code ${error.code}`];
  if (error.detail) lines.push(`  detail ${printable(error.detail)}`);
  for (let cause = error.cause, depth = 0; cause !== undefined && depth < 8; depth += 1) {
    lines.push(...causeLines(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
}

function causeLines(cause: unknown): string[] {
  if (!(cause instanceof Error)) return [];
  const text = isTowlineError(cause) ? `${cause.code}: ${cause.message}` : (cause.stack ?? cause.message);
  return `caused by ${text}`.split('\n').map((line) => `  ${printable(line)}`);
}
