import type { KeyPath } from '../faults/fault.ts';
import { type ConfigNode, mapScalars, type ScalarNode } from './config-node.ts';
import { type JsonSchema, schemasAt } from './json-schema.ts';

const NUMBER = /^-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?$/;

/**
 * Turns texts that came from a variable or flag into the number or boolean that the schema wants at their place.
 * Texts written as texts in the file stay texts, and a place that also takes a text gets one.
 */
export function coerceTree<Node extends ConfigNode>(node: Node, schema: JsonSchema): Node {
  return mapScalars(node, (scalar, path) => coerce(scalar, path, schema)) as Node;
}

function coerce(scalar: ScalarNode, path: KeyPath, schema: JsonSchema): ScalarNode {
  const { value } = scalar;
  if (typeof value !== 'string' || (scalar.variables === undefined && scalar.origin.name === undefined)) return scalar;
  const types = schemasAt(schema, path).flatMap(typesOf);
  if (types.includes('string')) return scalar;
  if (types.includes('boolean') && (value === 'true' || value === 'false')) return { ...scalar, value: value === 'true' };
  return (types.includes('number') || types.includes('integer')) && NUMBER.test(value) ? { ...scalar, value: Number(value) } : scalar;
}

function typesOf(schema: JsonSchema): readonly unknown[] {
  const constants = [schema.const, ...(Array.isArray(schema.enum) ? schema.enum : [])].map((value) => typeof value);
  return [...(Array.isArray(schema.type) ? schema.type : [schema.type]), ...constants];
}
