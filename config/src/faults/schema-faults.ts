import type { z } from 'zod';
import type { MapNode } from '../reading/config-node.ts';
import { type JsonSchema, knownKeys } from '../reading/json-schema.ts';
import type { Fault, KeyPath } from './fault.ts';
import { nearestName } from './nearest-name.ts';
import { faultAtPath } from './node-fault.ts';

/** What {@link schemaFaults} needs to know besides the issues. */
export interface SchemaFaultContext {
  readonly root: MapNode;
  readonly jsonSchema: JsonSchema;
  isSecret(path: KeyPath): boolean;
}

/** Faults for the issues of a schema check. The schemas here carry as message what they expect. */
export function schemaFaults(issues: readonly z.core.$ZodIssue[], context: SchemaFaultContext): Fault[] {
  return issues.flatMap((issue) => issueFaults(issue, [], context));
}

function issueFaults(issue: z.core.$ZodIssue, parent: KeyPath, context: SchemaFaultContext): Fault[] {
  const path = [...parent, ...issue.path.map((part) => (typeof part === 'number' ? part : String(part)))];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownKey(context.root, [...path, key], knownKeys(context.jsonSchema, path)));
  // Of a choice between a bare name and a mapping, the branch that has faults deeper inside is the one that was meant.
  const meant = issue.code === 'invalid_union' ? issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0)) : undefined;
  if (meant !== undefined) return meant.flatMap((inner) => issueFaults(inner, path, context));
  return [faultAtPath(context.root, path, { expected: issue.message, secret: context.isSecret(path) })];
}

/** The fault of a key that nobody reads: a setting that has no effect must not look as if it had one. */
export function unknownKey(root: MapNode, path: KeyPath, known: readonly string[]): Fault {
  const name = String(path.at(-1));
  const near = nearestName(name, known);
  const expected =
    near === undefined ? (known.length === 0 ? 'no keys here' : `one of ${known.join(', ')}`) : `a known key; did you mean ${near}?`;
  return faultAtPath(root, path, { expected, found: 'an unknown key' });
}
