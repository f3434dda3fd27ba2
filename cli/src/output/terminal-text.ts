import { printable } from '@towline/protocol';

const WIDE = /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}|[\uff01-\uff60]/u;
const NARROW = /\p{M}|\u200d|\ufe0f/u;

/** Columns a text takes on a terminal, near enough for tables: wide scripts count two, combining marks none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += char <= '\u007e' ? 1 : NARROW.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

/** Text of a device or user, made safe and cut to `max` characters, so that one name cannot fill the screen. */
export function shown(text: string, max = 200): string {
  const safe = printable(text);
  return safe.length <= max ? safe : `${safe.slice(0, max - 1)}…`;
}

/** JSON that is safe on a terminal: what JSON itself leaves raw and a terminal could obey becomes \uXXXX. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
