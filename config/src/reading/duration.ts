const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });
const DURATION = /^(0|[1-9][0-9]{0,11})(ms|s|m|h|d)$/;
/** Longest duration, milliseconds: a hundred years of 365 days. More is a slip of the hand. */
export const MAX_DURATION_MS = 36_500 * 86_400_000;

/** What a fault says where a duration was expected. */
export const DURATION_EXPECTED = 'a duration such as 500ms, 30s, 10m, 24h or 90d';

/**
 * Milliseconds of `500ms`, `30s`, `10m`, `24h` or `90d`: one whole number and one unit, nothing around.
 * Null when the text is no duration or longer than a hundred years.
 */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (match === null) return null;
  const ms = Number(match[1]) * UNITS_MS[match[2]!]!;
  return ms <= MAX_DURATION_MS ? ms : null;
}
