import createIgnore, { type Ignore } from 'ignore';

/** Paths that the matcher remembers before it is made anew: it keeps an answer for each. */
const REMEMBERED_PATHS = 4_096;
/** Where bytes beyond ASCII are put: private characters, none of which means anything in a pattern. */
const PRIVATE = 0xf000;

/** What is left out of a tree. */
export interface Excludes {
  /** Whether a path below the root is left out. What holds it is asked about before. */
  isExcluded(path: Buffer, isFolder: boolean): boolean;
}

/**
 * Rules of gitignore(5), in order: the last one that matches decides, `!` takes back. Bytes are compared with bytes, as git does, so
 * upper case is not lower case, and a name needs not be UTF-8.
 */
export function createExcludes(patterns: readonly string[]): Excludes {
  if (patterns.length === 0) return { isExcluded: () => false };
  const lines = patterns.map((pattern) => asText(Buffer.from(pattern)));
  let asked = 0;
  let matcher: Ignore = matcherOf(lines);
  return {
    isExcluded(path, isFolder) {
      asked += 1;
      if (asked % REMEMBERED_PATHS === 0) matcher = matcherOf(lines);
      const text = asText(path);
      return matcher.ignores(isFolder ? `${text}/` : text);
    },
  };
}

function matcherOf(lines: readonly string[]): Ignore {
  // A name that is no path of a source tree, as `..`, was refused before.
  return createIgnore({ ignorecase: false, allowRelativePaths: true }).add(lines);
}

/** One character for each byte. */
function asText(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(PRIVATE + byte.charCodeAt(0)));
}
