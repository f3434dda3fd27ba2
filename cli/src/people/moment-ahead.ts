import { TowlineError } from '@towline/protocol';
import { readMoment } from '../audit/moment.ts';
import { shown } from '../output/terminal-text.ts';

const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });
const FROM_NOW = /^([0-9]{1,9})([smhd])$/;
/** Longest time from now, a hundred years: what is meant to last longer is meant not to end. */
const LONGEST_MS = 100 * 365 * 86_400_000;

/**
 * A point in time at which something is to end: `8h` or `7d` from now, or a date-time of RFC 3339. Whether the latter is over
 * is left to the relay, whose clock counts. @returns RFC 3339 in UTC. @throws TowlineError `usage`.
 */
export function readMomentAhead(text: string, option: string, now: number): string {
  const ahead = FROM_NOW.exec(text);
  if (ahead === null) return dateOf(text, option, now);
  const ms = Number(ahead[1]) * UNITS_MS[ahead[2]!]!;
  if (ms > 0 && ms <= LONGEST_MS) return new Date(now + ms).toISOString();
  throw noTime(text, option);
}

function dateOf(text: string, option: string, now: number): string {
  try {
    return readMoment(text, option, now);
  } catch (cause) {
    throw noTime(text, option, cause);
  }
}

function noTime(text: string, option: string, cause?: unknown): TowlineError {
  return new TowlineError('usage', `${option} “${shown(text, 80)}” is no time at which something can end.`, {
    hint: 'Give how long from now, as 30m, 8h or 90d (a hundred years at most), or a time such as 2026-11-22T08:00:00Z.',
    cause,
  });
}
