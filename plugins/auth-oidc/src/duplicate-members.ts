/**
 * Whether any object in a JSON text names a member twice. Parsers disagree about which of the two counts, so that two
 * readers of one token could see two different claims. The text is valid JSON.
 */
export function hasDuplicateMembers(json: string): boolean {
  const open: (Set<string> | null)[] = [];
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token.endsWith(':') && !addName(open.at(-1), token)) return true;
  }
  return false;
}

/** A string with a colon behind it is the name of a member: inside of strings nothing is looked at. */
function addName(names: Set<string> | null | undefined, token: string): boolean {
  const name = JSON.parse(token.slice(0, token.lastIndexOf('"') + 1)) as string;
  if (names?.has(name)) return false;
  names?.add(name);
  return true;
}
