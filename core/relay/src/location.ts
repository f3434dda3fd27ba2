import { loadRelayConfig, type RelayConfig, type RelayFlags } from '@towline/config/relay';
import type { PluginSources } from '@towline/kernel';
import { DISTRIBUTION } from './distribution.ts';
import type { LocationOptions } from './program.ts';

/** The distribution, looked up from this package. */
export const DISTRIBUTION_SOURCE: PluginSources['distribution'] = { packages: DISTRIBUTION, from: import.meta.dirname };

/** The configuration that the options of a command name. @throws TowlineError `config_invalid`. */
export function readConfig(options: LocationOptions, flags: RelayFlags = {}): RelayConfig {
  return loadRelayConfig({
    ...(options.config === undefined ? {} : { file: options.config }),
    env: process.env,
    cwd: process.cwd(),
    flags: { ...flags, ...(options.data === undefined ? {} : { data: options.data }) },
  });
}
