import type { KeyPath } from '../faults/fault.ts';
import { type ConfigNode, emptyMap, type MapNode, nodeAt, withoutKey, withValue } from '../reading/config-node.ts';
import type { PluginEntry } from './relay-config.ts';

/** A block of `security` that stands for an entry of `auth`. */
export interface Shorthand {
  readonly block: 'api_keys' | 'jwt' | 'basic_auth';
  /** Name of the plugin. */
  readonly use: string;
}

/** The blocks, in the order in which their plugins are asked. */
export const SHORTHANDS: readonly Shorthand[] = Object.freeze([
  { block: 'api_keys', use: 'apikey' },
  { block: 'jwt', use: 'jwt' },
  { block: 'basic_auth', use: 'basic' },
]);

/** The block of a shorthand, as it is written; undefined when it is not there. */
export function blockAt(root: MapNode, block: Shorthand['block']): ConfigNode | undefined {
  return nodeAt(root, ['security', block]);
}

/** Shorthands that are there and not switched off. */
export function enabledShorthands(root: MapNode): readonly Shorthand[] {
  return SHORTHANDS.filter(({ block }) => blockAt(root, block) !== undefined && scalarAt(root, ['security', block, 'enabled']) !== false);
}

/** Name of the plugin of an entry of `auth`. */
export function usedAt(root: MapNode, at: number): unknown {
  return scalarAt(root, ['auth', at]) ?? scalarAt(root, ['auth', at, 'use']);
}

/** Paths of the entries of `auth` for a plugin. */
export function authPaths(root: MapNode, use: string): readonly (readonly ['auth', number])[] {
  const list = nodeAt(root, ['auth']);
  return list?.kind === 'list' ? list.items.flatMap((_, at) => (usedAt(root, at) === use ? [['auth', at] as const] : [])) : [];
}

/** The text, number, boolean or null at a path; undefined where there is none. */
export function scalarAt(root: MapNode, path: KeyPath): unknown {
  const node = nodeAt(root, path);
  return node?.kind === 'scalar' ? node.value : undefined;
}

/**
 * Variables for tokens stand for keys of `security.jwt`. Where `auth` has an entry `jwt` and the file no such block, they go
 * into that entry, so that there is one place for each value.
 */
export function placeJwtVariables(root: MapNode): MapNode {
  const [path] = authPaths(root, 'jwt');
  const block = blockAt(root, 'jwt');
  const list = nodeAt(root, ['auth']);
  if (path === undefined || block?.kind !== 'map' || list?.kind !== 'list' || isWritten(block)) return root;
  const entry = list.items[path[1]]!;
  const given = entry.kind === 'map' ? entry : withValue(emptyMap(entry.origin), ['use'], entry);
  // A variable that repeats the newest secret of the list contradicts nothing.
  const repeats = scalarAt(given, ['secrets', 0]) === scalarAt(block, ['secret']);
  const values = repeats ? withoutKey(block, 'secret') : block;
  const filled = [...values.entries].reduce((map, [key, value]) => withValue(map, [key], value), given);
  const auth: ConfigNode = { ...list, items: list.items.with(path[1], filled) };
  const security = nodeAt(root, ['security']) as MapNode;
  return withValue(withValue(root, ['auth'], auth), ['security'], withoutKey(security, 'jwt'));
}

/** What the relay should say at its start about who may come in. */
export function authWarnings(auth: readonly PluginEntry[], tls: boolean): readonly string[] {
  const uses = (name: string) => auth.some(({ use }) => use === name);
  return [
    ...(uses('basic') && !tls
      ? [
          'Basic auth is on while the relay speaks no TLS: passwords are readable wherever they pass without it. Let only a proxy with TLS reach this port.',
        ]
      : []),
    ...(uses('apikey') ? [] : ['API keys are off (auth has no entry apikey): devices log in by API key, so none can enrol or link.']),
  ];
}

/** Whether anything of the block is in the file. What is not has the name of its variable. */
function isWritten(block: MapNode): boolean {
  return block.entries.size === 0 || [...block.entries.values()].some(({ origin }) => origin.name === undefined);
}
