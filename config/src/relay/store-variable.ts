import type { Fault } from '../faults/fault.ts';
import { faultAtPath } from '../faults/node-fault.ts';
import { emptyMap, type MapNode, nodeAt, withValue } from '../reading/config-node.ts';
import type { ConfigVariable } from '../reading/overlay.ts';
import type { Environment } from '../reading/substitution.ts';

/** The address of a MongoDB, with a password in it as a rule. */
export const MONGODB_URI = { name: 'TOWLINE_MONGODB_URI', path: ['store', 'uri'], secret: true } as const satisfies ConfigVariable;
/** Under which it may be set. */
const NAMES: readonly string[] = [MONGODB_URI.name, `${MONGODB_URI.name}_FILE`];
/** Plugin that it is for. */
const USE = 'mongo';

/** `store: NAME` as `store: { use: NAME }` where the address is in the environment, so that there is a place for it. */
export function storeWithPlace(root: MapNode, env: Environment): MapNode {
  const store = nodeAt(root, ['store']);
  if (!NAMES.some((name) => env[name] !== undefined) || store?.kind !== 'scalar' || typeof store.value !== 'string') return root;
  return withValue(root, ['store'], withValue(emptyMap(store.origin), ['use'], store));
}

/** The address alone chooses the store. */
export function placeStoreVariable(root: MapNode): MapNode {
  const uri = nodeAt(root, MONGODB_URI.path);
  if (!isFromVariable(root) || nodeAt(root, ['store', 'use']) !== undefined) return root;
  return withValue(root, ['store', 'use'], { kind: 'scalar', value: USE, origin: uri!.origin });
}

/** An address that another store would not read. */
export function storeVariableFaults(root: MapNode): readonly Fault[] {
  const use = nodeAt(root, ['store', 'use']);
  if (!isFromVariable(root) || use?.kind !== 'scalar' || use.value === USE) return [];
  const text = { expected: `store: ${USE} beside it, or the variable unset`, found: 'another store', secret: false };
  return [faultAtPath(root, MONGODB_URI.path, text)];
}

function isFromVariable(root: MapNode): boolean {
  const uri = nodeAt(root, MONGODB_URI.path);
  return uri?.kind === 'scalar' && NAMES.includes(uri.origin.name ?? '');
}
