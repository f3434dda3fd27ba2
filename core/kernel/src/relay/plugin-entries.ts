import type { PluginEntry as ConfigEntry, RelayConfig } from '@towline/config/relay';
import type { PluginKind } from '@towline/contract';
import type { ConfigPlace, PluginEntry, PluginSources } from '../plugins/index.ts';

/** The plugins a config asks for, as the plugin host takes them. */
export function pluginEntries(config: RelayConfig): PluginEntry[] {
  const entry = (kind: PluginKind, from: ConfigEntry): PluginEntry => ({
    kind,
    use: from.use,
    options: (schema) => config.optionsOf(from, schema),
    ...placeOf(config, from.line),
    placeOf: (path) => placeOf(config, lineOf(config, [...from.path, ...path])).at,
  });
  return [
    entry('store', config.store),
    ...config.audit.sinks.map((sink) => ({ ...entry('audit', sink), required: sink.required })),
    ...config.auth.map((from) => entry('auth', from)),
    ...config.streams.map((from) => entry('stream', from)),
    ...config.transports.map((from) => entry('transport', from)),
  ];
}

/** Where plugins come from: the distribution, and the packages that the config adds. */
export function pluginSources(config: RelayConfig, distribution: PluginSources['distribution']): PluginSources {
  if (config.plugins.length === 0) return { distribution };
  return {
    distribution,
    configured: {
      packages: config.plugins.map((name, index) => ({ name, ...placeOf(config, lineOf(config, ['plugins', index])) })),
      from: config.baseDir,
    },
  };
}

/** Line of a path, or of what is nearest to it. */
function lineOf(config: RelayConfig, path: readonly (string | number)[]): number | undefined {
  return config.faultAt(path, '').line;
}

/** A place in the file of a config, where there is one. */
export function placeOf(config: RelayConfig, line: number | undefined): { readonly at?: ConfigPlace } {
  if (config.file === undefined) return {};
  return { at: line === undefined ? { file: config.file } : { file: config.file, line } };
}
