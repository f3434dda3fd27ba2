/**
 * JSON with one spelling for one value: keys sorted by UTF-16 code units, no white space, absent keys left out,
 * numbers and strings as ECMAScript writes them (RFC 8785 is the same for the values that records have).
 * Lone surrogates become U+FFFD: no store keeps them, and a peer's text must not make a chain fail to verify.
 * @throws TypeError for what JSON cannot hold, and for nesting deeper than the stack.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return canonicalScalar(value);
  const keys = Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined);
  const members = keys.sort().map((key) => `${canonicalScalar(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`);
  return `{${members.join(',')}}`;
}

function canonicalScalar(value: unknown): string {
  const text = JSON.stringify(typeof value === 'string' ? value.replace(/\p{Surrogate}/gu, '\ufffd') : value);
  if (text === undefined) throw new TypeError(`A value of type ${typeof value} cannot be written down as JSON.`);
  return text;
}
