export { configInvalid, type Fault, formatFault, formatPath, type KeyPath } from '../faults/fault.ts';
export { nearestName } from '../faults/nearest-name.ts';
export { parseDuration } from '../reading/duration.ts';
export type { JsonSchema } from '../reading/json-schema.ts';
export type { Environment } from '../reading/substitution.ts';
export { checkRelayConfig, loadRelayConfig, type RelayConfigCheck, type RelayConfigSources } from './load-relay-config.ts';
export type { PluginEntry, RelayConfig, SinkEntry } from './relay-config.ts';
export { relayConfigJsonSchema } from './relay-schema.ts';
export type { RelayFlags } from './relay-variables.ts';
