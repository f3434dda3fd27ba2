import type { KeyPath } from '../faults/fault.ts';

/** A JSON Schema (draft 2020-12) as far as it is looked at here. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** References are followed so far: a schema may refer to itself. */
const MAX_REFERENCES = 16;

/**
 * The schemas that may apply to the value at a path, through properties, items, alternatives and local references.
 * Conditions (`if`, `not`) are not looked at: this serves types and names in messages, never a decision.
 */
export function schemasAt(root: JsonSchema, path: KeyPath): readonly JsonSchema[] {
  return path.reduce<readonly JsonSchema[]>(
    (schemas, part) => schemas.flatMap((schema) => childrenOf(schema, part).flatMap((child) => alternatives(root, child))),
    alternatives(root, root),
  );
}

/** Names of the keys that a mapping at this path may have. */
export function knownKeys(root: JsonSchema, path: KeyPath): readonly string[] {
  return [...new Set(schemasAt(root, path).flatMap((schema) => Object.keys(asSchema(schema.properties) ?? {})))];
}

function childrenOf(schema: JsonSchema, part: string | number): JsonSchema[] {
  if (typeof part === 'number') return present(asSchema(schema.items));
  const property = asSchema(asSchema(schema.properties)?.[part]);
  return present(property ?? asSchema(schema.additionalProperties));
}

function alternatives(root: JsonSchema, schema: JsonSchema, references = 0): readonly JsonSchema[] {
  if (references > MAX_REFERENCES) return [];
  const nested = ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) =>
    Array.isArray(schema[keyword]) ? schema[keyword].flatMap((each) => present(asSchema(each))) : [],
  );
  const referred = typeof schema.$ref === 'string' ? present(resolveReference(root, schema.$ref)) : [];
  return [schema, ...[...nested, ...referred].flatMap((each) => alternatives(root, each, references + 1))];
}

function resolveReference(root: JsonSchema, reference: string): JsonSchema | undefined {
  if (!reference.startsWith('#')) return undefined;
  const parts = reference
    .slice(1)
    .split('/')
    .filter((part) => part !== '');
  return parts.reduce<JsonSchema | undefined>((schema, part) => asSchema(schema?.[part.replaceAll('~1', '/').replaceAll('~0', '~')]), root);
}

function asSchema(value: unknown): JsonSchema | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonSchema) : undefined;
}

function present(schema: JsonSchema | undefined): JsonSchema[] {
  return schema === undefined ? [] : [schema];
}
