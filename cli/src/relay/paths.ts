import { TowlineError } from '@towline/protocol';

/**
 * A path of the API with texts of the user in it, as in `` apiPath`/v1/devices/${name}` ``.
 * @throws TowlineError `usage` for a text that a URL cannot carry as one segment: an empty one, `.` and `..`.
 */
export function apiPath(parts: TemplateStringsArray, ...texts: readonly string[]): string {
  return parts.reduce((path, part, at) => `${path}${encodeSegment(texts[at - 1] ?? '')}${part}`);
}

function encodeSegment(text: string): string {
  // Even when encoded, URL parsers take dots for a step up.
  if (text === '' || text === '.' || text === '..') {
    throw new TowlineError('usage', `“${text}” is no name and no id.`, { hint: '`towline devices list` shows names and ids.' });
  }
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw new TowlineError('usage', 'The name is not valid Unicode.', { cause });
  }
}
