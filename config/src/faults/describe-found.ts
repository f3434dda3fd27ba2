import type { ConfigNode } from '../reading/config-node.ts';

/** Longer texts are told by their length: they fill a terminal and are rather secrets than typing errors. */
const MAX_SHOWN = 40;

/**
 * Describes a value for a fault. Texts of secret keys, texts that came out of a variable (whatever a key is
 * for, people put secrets into variables) and anything that looks like a URL with a password are told by
 * their length alone.
 */
export function describeNode(node: ConfigNode | undefined, secret: boolean): string {
  if (node === undefined) return 'nothing';
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'a mapping';
  const { value } = node;
  const hidden = secret || node.variables !== undefined;
  if (value === null) return 'nothing';
  if (typeof value === 'string') return describeText(value, hidden) + describeVariables(node.variables);
  return hidden ? `a ${typeof value}` : `the ${typeof value} ${String(value)}`;
}

function describeText(text: string, hidden: boolean): string {
  if (text === '') return 'an empty text';
  if (hidden || text.length > MAX_SHOWN || /\/\/[^/]*@/.test(text)) return `a text of ${[...text].length} characters`;
  return `the text ${JSON.stringify(text)}`;
}

function describeVariables(names: readonly string[] | undefined): string {
  return names === undefined || names.length === 0 ? '' : ` from ${names.map((name) => `\${${name}}`).join(' and ')}`;
}
