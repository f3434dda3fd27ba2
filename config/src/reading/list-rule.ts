import type { Fault } from '../faults/fault.ts';
import { faultAtPath } from '../faults/node-fault.ts';
import { type MapNode, nodeAt } from './config-node.ts';

/** Faults for entries of a list of names, or of mappings with `use: NAME`, that name the same thing twice. */
export function repeatedEntries(root: MapNode, key: string): readonly Fault[] {
  const list = nodeAt(root, [key]);
  if (list?.kind !== 'list') return [];
  const firstAt = new Map<unknown, number>();
  return list.items.flatMap((item, at) => {
    const named = item.kind === 'map' ? nodeAt(item, ['use']) : item;
    if (named?.kind !== 'scalar') return [];
    const first = firstAt.get(named.value);
    if (first === undefined) firstAt.set(named.value, at);
    return first === undefined
      ? []
      : [faultAtPath(root, [key, at], { expected: 'each entry once', found: `the same as in ${key}[${first}]` })];
  });
}
