import type { JsonSchema } from '@towline/config/relay';
import type { Plugin } from '@towline/contract';
import { optionsJsonSchema } from './options-schema.ts';
import type { PluginEntry } from './plugin-entry.ts';
import { reasonOf, suggestName } from './plugin-faults.ts';

/** Keys and indices on the way to a value. */
type OptionPath = readonly (string | number)[];

/** Something wrong with an option. */
export interface OptionFault {
  /** Empty for the options as a whole. */
  readonly path: OptionPath;
  readonly message: string;
}

/** What a check of options found: the options as the plugin gets them, or all faults. */
export type CheckedOptions = { readonly options: unknown; readonly faults?: undefined } | { readonly faults: readonly OptionFault[] };

/**
 * Checks the options of an entry by the plugin's schema. A key that the JSON Schema does not know is a fault even where
 * the schema would drop it: who writes a setting believes that it works. @throws what the plugin's schema throws.
 */
export async function checkOptions(plugin: Plugin, entry: Pick<PluginEntry, 'options'>): Promise<CheckedOptions> {
  const schema = optionsJsonSchema(plugin);
  const given = typeof entry.options === 'function' ? entry.options(schema) : entry.options;
  const { known, faults } = schema === undefined ? { known: given, faults: [] } : splitUnknown(schema, given, []);
  const result = await plugin.options['~standard'].validate(known);
  if (result.issues === undefined) return faults.length > 0 ? { faults } : { options: result.value };
  return { faults: [...faults, ...result.issues.map(issueFault)] };
}

interface Split {
  readonly known: unknown;
  readonly faults: readonly OptionFault[];
}

/** Parts a value into what its schema knows and faults for the rest. Alternatives (anyOf, …) are left to the plugin's schema. */
function splitUnknown(schema: JsonSchema, value: unknown, path: OptionPath): Split {
  if (Array.isArray(value) && isRecord(schema.items)) return splitItems(schema.items, value, path);
  const properties = schema.properties;
  if (!isRecord(properties) || !isRecord(value)) return { known: value, faults: [] };
  const open = isOpen(schema);
  const parts = Object.entries(value).map(([key, item]): { entry?: [string, unknown]; faults: readonly OptionFault[] } => {
    const inner = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (inner === undefined && !open) return { faults: [unknownKey([...path, key], Object.keys(properties))] };
    const split = isRecord(inner) ? splitUnknown(inner, item, [...path, key]) : { known: item, faults: [] };
    return { entry: [key, split.known], faults: split.faults };
  });
  const known = Object.fromEntries(parts.flatMap(({ entry }) => (entry === undefined ? [] : [entry])));
  return { known, faults: parts.flatMap(({ faults }) => faults) };
}

function splitItems(items: JsonSchema, value: readonly unknown[], path: OptionPath): Split {
  const splits = value.map((item, index) => splitUnknown(items, item, [...path, index]));
  return { known: splits.map(({ known }) => known), faults: splits.flatMap(({ faults }) => faults) };
}

/** Whether further keys are meant to be allowed. Saying nothing of them does not count as that. */
function isOpen(schema: JsonSchema): boolean {
  const more = schema.additionalProperties;
  return (
    more === true || isRecord(more) || 'patternProperties' in schema || ['anyOf', 'oneOf', 'allOf', '$ref'].some((key) => key in schema)
  );
}

function unknownKey(path: OptionPath, known: readonly string[]): OptionFault {
  const list = known.length === 0 ? 'There are none.' : `There are: ${known.join(', ')}.`;
  return { path, message: `unknown option "${path.join('.')}".${suggestName(String(path.at(-1)), known)} ${list}` };
}

function issueFault(issue: {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}) {
  const keys = (issue.path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  const path = keys.map((key) => (typeof key === 'number' ? key : String(key)));
  return { path, message: `${path.length === 0 ? '' : `${path.join('.')}: `}${reasonOf(issue.message)}` };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
