/**
 * Text of a device or user, safe for a terminal: control characters, line and paragraph separators and
 * bidirectional overrides become visible escapes.
 */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}
