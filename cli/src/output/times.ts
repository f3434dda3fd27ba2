const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration with one unit, rounded down, as `7m` or `3d`; below ten seconds with a decimal. */
export function durationText(ms: number): string {
  if (ms < 10 * SECOND) return `${(Math.max(0, ms) / SECOND).toFixed(1)}s`;
  if (ms < 2 * MINUTE) return `${Math.floor(ms / SECOND)}s`;
  if (ms < 2 * HOUR) return `${Math.floor(ms / MINUTE)}m`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)}h`;
  return `${Math.floor(ms / DAY)}d`;
}

/** A time of the API seen from now: `7m ago` or `in 3h`. What is no time is shown as `unknown`. */
export function relativeText(time: string | null, now: number): string {
  if (time === null) return '-';
  const at = Date.parse(time);
  if (Number.isNaN(at)) return 'unknown';
  return at <= now ? `${durationText(now - at)} ago` : `in ${durationText(at - now)}`;
}

/** A time of the API to the second, UTC. What is no time is shown as `unknown`. */
export function timeText(time: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? 'unknown' : at.toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** A number of bytes with a decimal unit. */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let at = 0;
  for (; value >= 1_000 && at < units.length - 1; at += 1) value /= 1_000;
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}
