export { createAuditPipeline } from './audit/index.ts';
export { loadGrantRing, rotateStoredSecrets } from './grants/ring.ts';
export { type StartedPlugins, startPlugins } from './life-cycle.ts';
export { createLog, type LogLevel, type RelayLog } from './log.ts';
export { type PluginSources, type ResolvedPlugin, resolvePlugins } from './plugins/index.ts';
export { openDataFolder } from './relay/data-folder.ts';
export { pluginEntries, pluginSources } from './relay/plugin-entries.ts';
export { type RelaySettings, type RunningRelay, startRelay } from './relay/start-relay.ts';
export { type CreatedKey, createKey, type KeySpec, listKeys, type RescueParts, revokeKey } from './rescue/keys.ts';
