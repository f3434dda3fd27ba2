import { type Fault, formatPath, type KeyPath } from '../faults/fault.ts';
import { type ConfigNode, mapScalars, type ScalarNode } from './config-node.ts';

/** Variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Outcome of {@link substituteVariables}. */
export interface Substitution {
  readonly text: string;
  /** Names of the variables that were looked up, each once. */
  readonly variables: readonly string[];
  readonly faults: readonly { readonly expected: string; readonly found: string }[];
}

// In this order: an escaped dollar, a well-formed reference, the beginning of a malformed one.
const REFERENCE = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in a text, and `$$` by `$`. As in a shell the default also stands in
 * for an empty variable. What a variable holds is taken as it is: no reference inside of it is looked up.
 */
export function substituteVariables(text: string, env: Environment): Substitution {
  const variables = new Set<string>();
  const faults: { expected: string; found: string }[] = [];
  const replaced = text.replace(REFERENCE, (match, name: string | undefined, fallback: string | undefined) => {
    if (match === '$$') return '$';
    if (name === undefined) {
      faults.push({
        expected: `\${NAME}, \${NAME:-default}, or $$ for a dollar sign`,
        found: 'a reference to a variable that is not of this form',
      });
      return '';
    }
    variables.add(name);
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
    if (value === undefined)
      faults.push({ expected: `the environment variable ${name} to be set, or a default as in \${${name}:-default}`, found: 'it unset' });
    return value ?? '';
  });
  return { text: replaced, variables: [...variables], faults };
}

/** Substitutes variables in every text below a node. The faults name the variables. */
export function substituteTree<Node extends ConfigNode>(
  node: Node,
  env: Environment,
): { readonly node: Node; readonly faults: readonly Fault[] } {
  const faults: Fault[] = [];
  const change = (scalar: ScalarNode, path: KeyPath): ScalarNode => {
    // A value with a name came from a variable or flag as a whole, and is taken as it is.
    if (typeof scalar.value !== 'string' || scalar.origin.name !== undefined) return scalar;
    const done = substituteVariables(scalar.value, env);
    const { file, line } = scalar.origin;
    faults.push(...done.faults.map((fault) => ({ file, ...(line === undefined ? {} : { line }), key: formatPath(path), ...fault })));
    return done.variables.length === 0 ? { ...scalar, value: done.text } : { ...scalar, value: done.text, variables: done.variables };
  };
  return { node: mapScalars(node, change) as Node, faults };
}
