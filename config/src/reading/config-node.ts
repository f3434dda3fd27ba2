import type { KeyPath } from '../faults/fault.ts';

/** Where a value was written. */
export interface Origin {
  /** File as the user named it, or `environment`, `command line` or `built-in defaults`. */
  readonly file: string;
  readonly line?: number;
  /** Name of the variable or flag, which a fault shows instead of the key. */
  readonly name?: string;
}

/** A text, number, boolean or null. */
export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  readonly origin: Origin;
  /** Set when the text came out of variables: their names, where they are not in the origin already. */
  readonly variables?: readonly string[];
}
/** A list. */
export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly ConfigNode[];
  readonly origin: Origin;
}
/** A mapping. The line of an entry is in its value's origin. */
export interface MapNode {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, ConfigNode>;
  readonly origin: Origin;
}
/** A value of the configuration that remembers where it was written. Free of any parser. */
export type ConfigNode = ScalarNode | ListNode | MapNode;

/** An empty mapping. */
export function emptyMap(origin: Origin): MapNode {
  return { kind: 'map', entries: new Map(), origin };
}

/** The value at a path, or undefined. */
export function nodeAt(root: ConfigNode, path: KeyPath): ConfigNode | undefined {
  let node: ConfigNode | undefined = root;
  for (const part of path) node = node && childOf(node, part);
  return node;
}

/** Where the value at a path was written; where there is none, its nearest parent. */
export function originAt(root: ConfigNode, path: KeyPath): Origin {
  let node = root;
  for (const part of path) {
    const child = childOf(node, part);
    if (child === undefined) break;
    node = child;
  }
  return node.origin;
}

function childOf(node: ConfigNode, part: string | number): ConfigNode | undefined {
  if (node.kind === 'map') return node.entries.get(String(part));
  return node.kind === 'list' && typeof part === 'number' ? node.items[part] : undefined;
}

/** The value as plain JavaScript. */
export function toPlain(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(toPlain);
  return Object.fromEntries([...node.entries].map(([key, value]) => [key, toPlain(value)]));
}

/** A copy with every scalar replaced by what `change` makes of it. */
export function mapScalars(node: ConfigNode, change: (scalar: ScalarNode, path: KeyPath) => ScalarNode, path: KeyPath = []): ConfigNode {
  if (node.kind === 'scalar') return change(node, path);
  if (node.kind === 'list') return { ...node, items: node.items.map((item, at) => mapScalars(item, change, [...path, at])) };
  const entries = [...node.entries].map(([key, value]) => [key, mapScalars(value, change, [...path, key])] as const);
  return { ...node, entries: new Map(entries) };
}

/** A copy with the value at a path of keys set. Where a parent is no mapping nothing changes: that is a fault of its own. */
export function withValue(root: MapNode, path: readonly string[], value: ConfigNode): MapNode {
  const [key, ...rest] = path;
  if (key === undefined) return root;
  if (rest.length === 0) return { ...root, entries: new Map(root.entries).set(key, value) };
  const parent = root.entries.get(key) ?? emptyMap(root.origin);
  return parent.kind === 'map' ? { ...root, entries: new Map(root.entries).set(key, withValue(parent, rest, value)) } : root;
}

/** A copy without the entry of a key. */
export function withoutKey(root: MapNode, key: string): MapNode {
  const entries = new Map(root.entries);
  entries.delete(key);
  return { ...root, entries };
}
