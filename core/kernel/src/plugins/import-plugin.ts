import { pathToFileURL } from 'node:url';
import { CONTRACT_LEVEL, type HostParts, isPlugin, type Plugin, type PluginKind, type TowlineError } from '@towline/contract';
import { runWithDeadline } from '../deadline.ts';
import type { ConfigPlace } from './plugin-entry.ts';
import { pluginFault, reasonOf } from './plugin-faults.ts';
import { type DeclaredPlugin, wrongLevel } from './plugin-manifest.ts';

/** Parts a plugin may ask for, with the kinds that may not: those that start before the part is there. */
const PARTS: Readonly<Record<keyof HostParts, readonly PluginKind[]>> = Object.freeze({
  store: ['store', 'audit'],
  dataDir: [],
  baseDir: [],
});

/** Where a plugin is asked for and how long importing it may take. */
export interface ImportSettings {
  readonly deadlineMs: number;
  readonly at: ConfigPlace | undefined;
}

/** Imports a declared plugin and checks that it is what its manifest says. @throws TowlineError of group plugin_. */
export async function importPlugin(declared: DeclaredPlugin, settings: ImportSettings): Promise<Plugin> {
  const module = await importModule(declared, settings);
  const exported: unknown = module.plugin;
  const fault = exported === undefined ? `${declared.file} has no export "plugin"` : findFault(exported, declared);
  if (fault !== null) throw pluginFault('plugin_kind', `${nameOf(declared)}: ${fault}.`, { at: settings.at });
  const plugin = exported as Plugin;
  if (plugin.contract !== CONTRACT_LEVEL) throw wrongLevel(declared.package, plugin.contract, settings.at);
  const need = findWrongNeed(plugin, declared, settings.at);
  if (need !== null) throw need;
  return plugin;
}

/** How a plugin is called in messages. */
export function nameOf({ kind, name, package: { name: from } }: Pick<DeclaredPlugin, 'kind' | 'name' | 'package'>): string {
  return `The ${kind} plugin "${name}" of ${from}`;
}

async function importModule(declared: DeclaredPlugin, { deadlineMs, at }: ImportSettings): Promise<Record<string, unknown>> {
  const onTimeout = () =>
    pluginFault('plugin_timeout', `${nameOf(declared)} was not imported within ${deadlineMs / 1_000} s.`, {
      at,
      hint: 'Its module waits for something while it is imported; tell its author.',
    });
  const work = () => import(/* @vite-ignore */ pathToFileURL(declared.file).href) as Promise<Record<string, unknown>>;
  return await runWithDeadline(() => work().catch((cause) => refuseImport(declared, cause, at)), { ms: deadlineMs, onTimeout });
}

function refuseImport(declared: DeclaredPlugin, cause: unknown, at: ConfigPlace | undefined): never {
  throw pluginFault('plugin_failed', `${nameOf(declared)} cannot be imported: ${reasonOf(cause)}`, { at, cause });
}

function findFault(exported: unknown, declared: DeclaredPlugin): string | null {
  if (!isPlugin(exported)) return 'its export "plugin" was not made by definePlugin';
  if (exported.kind !== declared.kind) return `the manifest says that it is of kind ${declared.kind}, and it is of kind ${exported.kind}`;
  if (exported.name !== declared.name) return `the manifest says that it is called "${declared.name}", and it is called "${exported.name}"`;
  if (typeof exported.create !== 'function') return 'it has no function "create"';
  if (exported.options?.['~standard']?.version !== 1) return 'its "options" are not a Standard Schema of version 1';
  return Array.isArray(exported.needs) ? null : 'its "needs" are not a list';
}

function findWrongNeed(plugin: Plugin, declared: DeclaredPlugin, at: ConfigPlace | undefined): TowlineError | null {
  const unknown = plugin.needs.find((need) => !Object.hasOwn(PARTS, need));
  if (unknown !== undefined) {
    const message = `${nameOf(declared)} needs "${unknown}", which contract level ${CONTRACT_LEVEL} does not have.`;
    return pluginFault('plugin_contract', message, { at });
  }
  const late = plugin.needs.find((need) => PARTS[need].includes(plugin.kind));
  if (late === undefined) return null;
  const message = `${nameOf(declared)} needs "${late}", which plugins of kind ${plugin.kind} cannot have: it is there only after they have started.`;
  return pluginFault('plugin_kind', message, { at });
}
