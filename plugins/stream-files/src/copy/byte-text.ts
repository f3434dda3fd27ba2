const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** A number of bytes with a decimal unit. */
export function byteText(bytes: number): string {
  let value = bytes;
  let at = 0;
  for (; value >= 1_000 && at < UNITS.length - 1; at += 1) value /= 1_000;
  return `${at === 0 ? value : value.toFixed(1)} ${UNITS[at]}`;
}

/** A time in seconds as `7s`, `3m05s` or `2h10m`. */
export function timeText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3_600)}h${two(Math.floor((whole % 3_600) / 60))}m`;
}
