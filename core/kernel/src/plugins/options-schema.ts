import type { JsonSchema } from '@towline/config/relay';
import type { Plugin } from '@towline/contract';
import { z } from 'zod';

/**
 * JSON Schema of a plugin's options: what the plugin gives, else what its schema library says. Undefined when neither tells.
 * The plugin's own copy of the library is asked first, through Standard JSON Schema (https://standardschema.dev).
 */
export function optionsJsonSchema(plugin: Plugin): JsonSchema | undefined {
  if (plugin.optionsJsonSchema !== undefined) return plugin.optionsJsonSchema;
  const standard = plugin.options['~standard'] as {
    readonly vendor: string;
    readonly jsonSchema?: { readonly input?: (to: { readonly target: string }) => JsonSchema };
  };
  try {
    if (typeof standard.jsonSchema?.input === 'function') return standard.jsonSchema.input({ target: 'draft-2020-12' });
    if (standard.vendor !== 'zod') return undefined;
    return z.toJSONSchema(plugin.options as unknown as z.ZodType, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  } catch {
    // A schema that JSON Schema cannot express is no fault: the plugin's own check remains.
    return undefined;
  }
}
