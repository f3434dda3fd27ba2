const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?)\}/g;
/** First and last character of the private use area of the basic plane (Unicode 16, section 23.5). */
const FIRST = 0xe000;
const LAST = 0xf8ff;

/** A text in which the braces of references are other characters, and the way back. */
export interface DisguisedText {
  readonly text: string;
  /** Gives a part of the text its braces back. */
  restore(part: string): string;
}

/**
 * Replaces the braces of `${NAME}` and `${NAME:-default}` by characters without a meaning in YAML, one for one, so that
 * `{ uri: ${URI} }` is what it looks like: to YAML the braces would end and begin mappings.
 */
export function disguiseReferences(text: string): DisguisedText {
  const [open, close] = unusedCharacters(text);
  if (open === undefined || close === undefined) return { text, restore: (part) => part };
  return {
    text: text.replace(REFERENCE, (_, inner: string) => `$${open}${inner}${close}`),
    restore: (part) => part.replaceAll(open, '{').replaceAll(close, '}'),
  };
}

function unusedCharacters(text: string): string[] {
  const used = new Set(text);
  const unused: string[] = [];
  for (let code = FIRST; code <= LAST && unused.length < 2; code += 1) {
    if (!used.has(String.fromCharCode(code))) unused.push(String.fromCharCode(code));
  }
  return unused;
}
