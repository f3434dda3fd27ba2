import { isTowlineError, PLUGIN_KINDS, type TowlineError } from '@towline/contract';
import { isPackageName, isPathName, locatePackage, toPath } from './locate-package.ts';
import type { ConfigPlace, PluginEntry, PluginSources } from './plugin-entry.ts';
import { pluginFault, suggestName } from './plugin-faults.ts';
import { type DeclaredPlugin, readManifest } from './plugin-manifest.ts';

/** What all packages together declare. */
export interface Declarations {
  readonly plugins: readonly DeclaredPlugin[];
  readonly faults: readonly TowlineError[];
}

/** Reads the manifests of all packages. Imports nothing. */
export function readDeclarations(sources: PluginSources): Declarations {
  const faults: TowlineError[] = [];
  const folders = new Map<string, ConfigPlace | undefined>();
  for (const { name, at, folder } of locateAll(sources)) {
    if (folder === null) faults.push(missingPackage(name, at, sources));
    else if (!folders.has(folder)) folders.set(folder, at);
  }
  const plugins = [...folders].flatMap(([folder, at]) => collect(faults, () => readManifest(folder, at)));
  return { plugins, faults: [...faults, ...findDuplicates(plugins, folders)] };
}

/** The declared plugin that an entry means. @throws TowlineError `plugin_missing`. */
export function pickPlugin(plugins: readonly DeclaredPlugin[], entry: PluginEntry): DeclaredPlugin {
  const found = plugins.find(({ kind, name }) => kind === entry.kind && name === entry.use);
  if (found !== undefined) return found;
  const others = plugins.filter(({ name }) => name === entry.use).map(({ kind }) => kind);
  const names = plugins.filter(({ kind }) => kind === entry.kind).map(({ name }) => name);
  const elsewhere = others.length > 0 ? ` There is one of that name, but of kind ${others.join(' and ')}.` : suggestName(entry.use, names);
  const list = names.length > 0 ? ` There are: ${names.join(', ')}.` : ' There is none of that kind at all.';
  throw pluginFault('plugin_missing', `No ${entry.kind} plugin is called "${entry.use}".${elsewhere}${list}`, { at: entry.at });
}

function locateAll({ distribution, configured }: PluginSources) {
  const relay = toPath(distribution.from);
  const standard = distribution.packages.map((name) => ({ name, at: undefined, folder: locatePackage(name, relay) }));
  const from = configured === undefined ? relay : toPath(configured.from);
  const added = (configured?.packages ?? []).map(({ name, at }) => ({ name, at, folder: locateConfigured(name, from, relay) }));
  return [...standard, ...added];
}

function locateConfigured(name: string, from: string, relay: string): string | null {
  if (isPathName(name)) return locatePackage(name, from);
  return isPackageName(name) ? (locatePackage(name, from) ?? locatePackage(name, relay)) : null;
}

function missingPackage(name: string, at: ConfigPlace | undefined, { distribution, configured }: PluginSources): TowlineError {
  if (distribution.packages.includes(name) && at === undefined) {
    const message = `The package "${name}", a part of the relay, is not installed beside ${toPath(distribution.from)}.`;
    return pluginFault('plugin_missing', message, { hint: 'Install the relay again.' });
  }
  const from = toPath(configured?.from ?? distribution.from);
  if (isPathName(name)) {
    const message = `There is no package in the folder "${name}", seen from ${from}: a folder with a package.json is expected.`;
    return pluginFault('plugin_missing', message, { at, hint: 'Correct the path under `plugins`; it is relative to the file it is in.' });
  }
  if (!isPackageName(name)) {
    const message = `"${name}" is neither the name of a package nor a path.`;
    return pluginFault('plugin_missing', message, { at, hint: 'Paths under `plugins` begin with ./ or /.' });
  }
  const hint = `Run \`npm install ${name}\` in ${from}, or correct the name under \`plugins\`.`;
  return pluginFault('plugin_missing', `The package "${name}" was found neither from ${from} nor beside the relay.`, { at, hint });
}

function findDuplicates(
  plugins: readonly DeclaredPlugin[],
  folders: ReadonlyMap<string, ConfigPlace | undefined>,
): readonly TowlineError[] {
  return PLUGIN_KINDS.flatMap((kind) => {
    const ofKind = plugins.filter((plugin) => plugin.kind === kind);
    const names = [...new Set(ofKind.map(({ name }) => name))];
    return names.flatMap((name) => {
      const same = ofKind.filter((plugin) => plugin.name === name);
      if (same.length < 2) return [];
      const list = same.map(({ package: found }) => `${found.name} (${found.folder})`).join(' and ');
      const at = same.map(({ package: found }) => folders.get(found.folder)).findLast((place) => place !== undefined);
      return [pluginFault('plugin_duplicate', `The ${kind} plugin "${name}" is brought by ${list}.`, { at })];
    });
  });
}

/** Runs a check, keeping its fault for later. */
function collect<T>(faults: TowlineError[], check: () => readonly T[]): readonly T[] {
  try {
    return check();
  } catch (error) {
    if (!isTowlineError(error)) throw error;
    faults.push(error);
    return [];
  }
}
