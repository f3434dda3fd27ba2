import { isTowlineError, PLUGIN_KINDS, type Plugin, type TowlineError } from '@towline/contract';
import { runWithDeadline } from '../deadline.ts';
import { type CheckedOptions, checkOptions, type OptionFault } from './check-options.ts';
import { pickPlugin, readDeclarations } from './declared-plugins.ts';
import { importPlugin, nameOf } from './import-plugin.ts';
import type { PluginEntry, PluginSources, ResolvedPlugin } from './plugin-entry.ts';
import { pluginFault, reasonOf, throwFaults } from './plugin-faults.ts';
import type { DeclaredPlugin } from './plugin-manifest.ts';

/** Time for importing one plugin and checking its options, milliseconds. */
const DEFAULT_DEADLINE_MS = 30_000;

/** What may be set when plugins are resolved. */
export interface ResolveSettings {
  readonly deadlineMs?: number;
}

/**
 * Finds, checks and imports the plugins that the config asks for, and checks their options; starts nothing. All manifests
 * are read before anything is imported. Answers in the order in which they are to start: by kind, then as in the config.
 * @throws PluginFaults with all faults of all plugins at once.
 */
export async function resolvePlugins(
  entries: readonly PluginEntry[],
  sources: PluginSources,
  settings: ResolveSettings = {},
): Promise<readonly ResolvedPlugin[]> {
  const declared = readDeclarations(sources);
  const faults: TowlineError[] = [...declared.faults];
  const resolved: ResolvedPlugin[] = [];
  const ordered = [...entries].sort((a, b) => PLUGIN_KINDS.indexOf(a.kind) - PLUGIN_KINDS.indexOf(b.kind));
  for (const entry of ordered) {
    const result = await resolveEntry(entry, declared.plugins, settings.deadlineMs ?? DEFAULT_DEADLINE_MS);
    if ('faults' in result) faults.push(...result.faults);
    else resolved.push(result);
  }
  throwFaults(faults);
  return resolved;
}

async function resolveEntry(
  entry: PluginEntry,
  plugins: readonly DeclaredPlugin[],
  deadlineMs: number,
): Promise<ResolvedPlugin | { readonly faults: readonly TowlineError[] }> {
  try {
    const declared = pickPlugin(plugins, entry);
    const plugin = await importPlugin(declared, { deadlineMs, at: entry.at });
    const checked = await checkWithin(plugin, { declared, entry, deadlineMs });
    if (checked.faults !== undefined) return { faults: checked.faults.map((fault) => optionFault(entry, fault)) };
    const { kind, name, package: found } = declared;
    return { kind, name, plugin, options: checked.options, required: entry.required, package: found, at: entry.at };
  } catch (error) {
    if (isTowlineError(error)) return { faults: [error] };
    throw error;
  }
}

interface Checking {
  readonly declared: DeclaredPlugin;
  readonly entry: PluginEntry;
  readonly deadlineMs: number;
}

async function checkWithin(plugin: Plugin, { declared, entry, deadlineMs }: Checking): Promise<CheckedOptions> {
  const onTimeout = () =>
    pluginFault('plugin_timeout', `${nameOf(declared)} did not check its options within ${deadlineMs / 1_000} s.`, { at: entry.at });
  try {
    return await runWithDeadline(() => checkOptions(plugin, entry), { ms: deadlineMs, onTimeout });
  } catch (cause) {
    if (isTowlineError(cause)) throw cause;
    const message = `${nameOf(declared)} failed while it checked its options: ${reasonOf(cause)}`;
    throw pluginFault('plugin_failed', message, { at: entry.at, cause });
  }
}

function optionFault(entry: PluginEntry, { path, message }: OptionFault): TowlineError {
  const at = entry.placeOf?.(path) ?? entry.at;
  return pluginFault('plugin_options', `${entry.kind} "${entry.use}": ${message}`, { at, hint: 'Correct the entry in the config.' });
}
