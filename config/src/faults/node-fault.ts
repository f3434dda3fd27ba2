import { type ConfigNode, type MapNode, nodeAt, originAt } from '../reading/config-node.ts';
import { describeNode } from './describe-found.ts';
import { type Fault, formatPath, type KeyPath } from './fault.ts';

/** What is said about a value at a path. */
export interface FaultText {
  readonly expected: string;
  /** Left out: a description of the value that is there. */
  readonly found?: string;
  /** Describe by type and length only. */
  readonly secret?: boolean;
}

/** Makes the fault for a path, with the file and line of the value, or of the mapping that lacks it. */
export function faultAtPath(root: MapNode, path: KeyPath, text: FaultText): Fault {
  const origin = originAt(root, path);
  const node: ConfigNode | undefined = nodeAt(root, path);
  return {
    file: origin.file,
    ...(origin.line === undefined ? {} : { line: origin.line }),
    key: origin.name ?? formatPath(path),
    expected: text.expected,
    found: text.found ?? describeNode(node, text.secret ?? false),
  };
}
