import { TowlineError } from '@towline/protocol';

const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });
const AGO = /^([0-9]{1,9})([smhd])$/;
/** RFC 3339, section 5.6: a date-time with its offset. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i;
/** The greatest time a Date can hold, ECMA-262 section 21.4.1.1. */
const LATEST_MS = 8_640_000_000_000_000;

/**
 * A point in time as people give it to `--since` and `--until`: `2h` or `7d` ago, or a date-time of RFC 3339.
 * @returns RFC 3339 in UTC. @throws TowlineError `usage`.
 */
export function readMoment(text: string, option: string, now: number): string {
  const ago = AGO.exec(text);
  const at = ago ? now - Number(ago[1]) * UNITS_MS[ago[2]!]! : DATE_TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(at) && at >= 0 && at <= LATEST_MS && !isImpossible(text)) return new Date(at).toISOString();
  throw new TowlineError('usage', `${option} “${text}” is no point in time.`, {
    hint: 'Give how long ago, as 90s, 30m, 2h or 7d, or a time such as 2026-11-22T08:00:00Z.',
  });
}

/** Engines roll the 31st of February over to March; a filter must not mean another day than it says. */
function isImpossible(text: string): boolean {
  if (!DATE_TIME.test(text)) return false;
  const date = text.slice(0, 10);
  return new Date(`${date}T00:00:00Z`).toISOString().slice(0, 10) !== date;
}
