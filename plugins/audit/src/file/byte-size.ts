const UNITS = Object.freeze({
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 1_024,
  mib: 1_048_576,
  gib: 1_073_741_824,
} as const satisfies Record<string, number>);
const FORM = /^([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([kmg]i?b|b)?$/i;

/** Bytes of a text such as `100MB`, `1.5 GiB` or `4096`; null when it is none. KB counts 1,000 bytes, KiB 1,024. */
export function parseByteSize(text: string): number | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const unit = (match[2] ?? 'b').toLowerCase() as keyof typeof UNITS;
  return Math.floor(Number(match[1]) * UNITS[unit]);
}
