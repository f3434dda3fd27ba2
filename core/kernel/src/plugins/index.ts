export { optionsJsonSchema } from './options-schema.ts';
export type { ConfigPlace, PluginEntry, PluginPackage, PluginSources, ResolvedPlugin } from './plugin-entry.ts';
export { PluginFaults } from './plugin-faults.ts';
export { type ResolveSettings, resolvePlugins } from './resolve-plugins.ts';
