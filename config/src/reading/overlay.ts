import type { Fault } from '../faults/fault.ts';
import { type ConfigNode, type MapNode, type Origin, withValue } from './config-node.ts';
import type { Environment } from './substitution.ts';
import { readVariable, type VariableNames } from './variable.ts';

/** A variable that stands for a key of the configuration. */
export interface ConfigVariable extends VariableNames {
  readonly path: readonly string[];
  /** The value is a list with commas between its items. */
  readonly list?: boolean;
}

/** A flag of the command line that stands for a key of the configuration. */
export interface ConfigFlag {
  /** As it is typed: `--port`. */
  readonly name: string;
  readonly path: readonly string[];
  readonly value: string | number | readonly string[] | undefined;
}

/** Puts the variables that are set over the values of the file. */
export function overlayVariables(
  root: MapNode,
  variables: readonly ConfigVariable[],
  env: Environment,
): { readonly root: MapNode; readonly faults: readonly Fault[] } {
  const faults: Fault[] = [];
  let result = root;
  for (const variable of variables) {
    const read = readVariable(env, variable);
    if (read === undefined) continue;
    if ('fault' in read) {
      faults.push(read.fault);
      continue;
    }
    const origin = { file: 'environment', name: read.name };
    const items = variable.list ? splitList(read.value) : undefined;
    if (items?.length === 0)
      faults.push({ file: 'environment', key: read.name, expected: 'values with commas between them', found: 'none' });
    result = withValue(result, variable.path, items === undefined ? scalarNode(read.value, origin) : listNode(items, origin));
  }
  return { root: result, faults };
}

/** Puts the flags that are given over everything else. */
export function overlayFlags(root: MapNode, flags: readonly ConfigFlag[]): MapNode {
  return flags.reduce((result, { name, path, value }) => {
    if (value === undefined) return result;
    const origin = { file: 'command line', name };
    const node = Array.isArray(value) ? listNode(value, origin) : scalarNode(value as string | number, origin);
    return withValue(result, path, node);
  }, root);
}

function splitList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function scalarNode(value: string | number, origin: Origin): ConfigNode {
  return { kind: 'scalar', value, origin };
}

function listNode(values: readonly string[], origin: Origin): ConfigNode {
  return { kind: 'list', items: values.map((value) => scalarNode(value, origin)), origin };
}
