import type { ErrorCode } from 'yaml';

/**
 * What is said about each fault of YAML itself: expected, found. The parser's own texts quote the source,
 * which may be a secret, so they are not used.
 */
const TEXTS: Readonly<Record<ErrorCode, readonly [expected: string, found: string]>> = Object.freeze({
  ALIAS_PROPS: ['an alias alone', 'an alias with an anchor or tag'],
  BAD_ALIAS: ['the name of an anchor', 'an alias that is not well-formed'],
  BAD_COLLECTION_TYPE: ['a value that fits its tag', 'another kind of value'],
  BAD_DIRECTIVE: ['no directive but %YAML 1.2', 'another directive'],
  BAD_DQ_ESCAPE: ['an escape that YAML knows; in single quotes a backslash stands for itself', 'another one in double quotes'],
  BAD_INDENT: ['the same indentation as the lines around', 'another one'],
  BAD_PROP_ORDER: ['anchors and tags before the value', 'one after it'],
  BAD_SCALAR_START: ['quotes around a text that begins with @, ` or another reserved character', 'none'],
  BLOCK_AS_IMPLICIT_KEY: ['one `key: value` on a line', 'a second colon; put the value in quotes'],
  BLOCK_IN_FLOW: ['no indented list or mapping inside of brackets or braces', 'one'],
  DUPLICATE_KEY: ['each key once', 'a key twice'],
  IMPOSSIBLE: ['YAML 1.2', 'something that cannot be understood'],
  KEY_OVER_1024_CHARS: ['a short key', 'one of more than 1,024 characters'],
  MISSING_CHAR: ['a closing quote, bracket or brace, a comma or a colon', 'none where one is needed'],
  MULTILINE_IMPLICIT_KEY: ['a key on one line with its colon', 'a line that is neither `key: value` nor a comment'],
  MULTIPLE_ANCHORS: ['one anchor', 'several'],
  MULTIPLE_DOCS: ['one document', 'a second one behind ---'],
  MULTIPLE_TAGS: ['one tag', 'several'],
  NON_STRING_KEY: ['a text as key', 'something else'],
  RESOURCE_EXHAUSTION: ['lists and mappings nested less deeply', 'too many levels'],
  TAB_AS_INDENT: ['spaces for indentation', 'a tab'],
  TAG_RESOLVE_FAILED: ['no tag, or one of YAML 1.2 that fits the value', 'another tag'],
  UNEXPECTED_TOKEN: ['`key: value`, a list, or quotes around the text', 'something that does not belong here'],
});

/** Expected and found for a fault that the YAML parser reports. */
export function textOfYamlFault(code: ErrorCode): { readonly expected: string; readonly found: string } {
  const [expected, found] = TEXTS[code] ?? TEXTS.IMPOSSIBLE;
  return { expected, found };
}
