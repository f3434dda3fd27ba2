import { pluginEntries, pluginSources, resolvePlugins } from '@towline/kernel';
import { DISTRIBUTION_SOURCE, readConfig } from '../location.ts';
import type { LocationOptions } from '../program.ts';

/** `towline-relay check`: loads config and plugins, prints what would run. Faults come as the error of the command. */
export async function checkCommand(options: LocationOptions): Promise<void> {
  const config = readConfig(options);
  const plugins = await resolvePlugins(pluginEntries(config), pluginSources(config, DISTRIBUTION_SOURCE));
  const { host, port, tls, publicUrl } = config.server;
  const lines = [
    `config     ${config.file ?? 'none: defaults and environment'}`,
    `data       ${config.dataDir}`,
    `listens on ${host} port ${port}${tls.enabled ? ` with TLS (${tls.certFile ?? 'self-made certificate'})` : ' without TLS'}`,
    ...(publicUrl === undefined ? [] : [`public     ${publicUrl}`]),
    ...config.warnings.map((warning) => `warning    ${warning}`),
    ...plugins.map((plugin) => `${plugin.kind.padEnd(10)} ${plugin.name} (${plugin.package.name} ${plugin.package.version})`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
