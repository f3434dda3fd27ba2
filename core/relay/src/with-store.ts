import {
  createAuditPipeline,
  createLog,
  type KeyRing,
  openDataFolder,
  openKeyRing,
  pluginEntries,
  pluginSources,
  type RescueParts,
  resolvePlugins,
  startPlugins,
} from '@towline/kernel';
import { DISTRIBUTION_SOURCE, readConfig } from './location.ts';
import type { LocationOptions } from './program.ts';

/** What a command on the store works with. */
export interface StoreParts extends RescueParts {
  /** The encryption keys, as the relay itself opens them. */
  openKeys(): Promise<KeyRing>;
}

/**
 * Runs work on the store alone, beside a running relay or without one. Records of the trail go to the store; the
 * sinks of a running relay take them over from there.
 */
export async function withStore<Result>(options: LocationOptions, work: (parts: StoreParts) => Promise<Result>): Promise<Result> {
  const config = readConfig(options);
  const log = createLog({ level: 'warn' });
  const clock = { now: Date.now };
  const entries = pluginEntries(config).filter(({ kind }) => kind === 'store');
  const resolved = await resolvePlugins(entries, pluginSources(config, DISTRIBUTION_SOURCE));
  await openDataFolder(config.dataDir);
  await using plugins = await startPlugins(resolved, { log, clock, dataDir: config.dataDir, baseDir: config.baseDir });
  await using pipeline = createAuditPipeline({ store: plugins.store.audit, sinks: [], clock, log });
  const openKeys = () => openKeyRing({ config, store: plugins.store, log });
  return await work({ store: plugins.store, audit: (event) => pipeline.note(event), clock, openKeys });
}
