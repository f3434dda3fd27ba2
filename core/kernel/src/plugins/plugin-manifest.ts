import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CONTRACT_LEVEL, PLUGIN_KINDS, type PluginKind, type TowlineError } from '@towline/contract';
import { describeIssues } from '@towline/protocol';
import { z } from 'zod';
import { resolveExport } from './package-exports.ts';
import type { ConfigPlace, PluginPackage } from './plugin-entry.ts';
import { pluginFault, reasonOf } from './plugin-faults.ts';

/** A plugin that a package declares, before anything of it is imported. */
export interface DeclaredPlugin {
  readonly kind: PluginKind;
  readonly name: string;
  /** Absolute path of the module with the export `plugin`. */
  readonly file: string;
  readonly package: PluginPackage;
}

/** Form of a plugin's name in manifests and config. */
export const PLUGIN_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** No package.json of a plugin is larger, bytes. */
const MAX_PACKAGE_JSON = 1_048_576;

const packageSchema = z.looseObject({ name: z.string().min(1), version: z.string().default('0.0.0') });
const levelSchema = z.looseObject({ contract: z.int() });
/** Further keys of an entry are for other readers of the manifest, as the command line and the device runtime. */
const manifestSchema = z.looseObject({
  plugins: z
    .array(
      z.looseObject({
        kind: z.enum(PLUGIN_KINDS),
        name: z.string().regex(PLUGIN_NAME, 'expected lower-case letters, digits and dashes'),
        export: z.string().regex(/^\.(?:\/.+)?$/, 'expected "." or "./NAME"'),
      }),
    )
    .min(1),
});

/** Reads what a package declares. Imports nothing. @throws TowlineError `plugin_manifest`, `plugin_contract`. */
export function readManifest(folder: string, at: ConfigPlace | undefined): readonly DeclaredPlugin[] {
  const { json, found } = readPackageJson(folder, at);
  const fault = (message: string) => pluginFault('plugin_manifest', `The package "${found.name}" (${folder}) ${message}`, { at });
  if (json.towline === undefined) throw fault('has no "towline" entry in its package.json, so it brings no plugins.');
  const level = levelSchema.safeParse(json.towline);
  if (!level.success) throw fault(`has a "towline" entry that is not valid: ${describeIssues(level.error.issues)}.`);
  if (level.data.contract !== CONTRACT_LEVEL) throw wrongLevel(found, level.data.contract, at);
  const manifest = manifestSchema.safeParse(json.towline);
  if (!manifest.success) throw fault(`has a "towline" entry that is not valid: ${describeIssues(manifest.error.issues)}.`);
  const declared = manifest.data.plugins.map(({ kind, name, export: exported }) => {
    const file = resolveExport(folder, json, exported);
    if (file === null) throw fault(`declares the ${kind} plugin "${name}" behind "${exported}", but no file of it is exported there.`);
    return { kind, name, file, package: found };
  });
  const twice = declared.find((one, index) => declared.findIndex(({ kind, name }) => kind === one.kind && name === one.name) < index);
  if (twice !== undefined) throw fault(`declares the ${twice.kind} plugin "${twice.name}" twice.`);
  return declared;
}

function readPackageJson(folder: string, at: ConfigPlace | undefined) {
  const file = join(folder, 'package.json');
  try {
    if (statSync(file).size > MAX_PACKAGE_JSON) throw new Error(`it is larger than ${MAX_PACKAGE_JSON} bytes`);
    const json = packageSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { json, found: { name: json.name, version: json.version, folder } };
  } catch (cause) {
    const why = cause instanceof z.ZodError ? `${describeIssues(cause.issues)}.` : reasonOf(cause);
    throw pluginFault('plugin_manifest', `${file} cannot be read as the description of a package: ${why}`, { at, cause });
  }
}

/** The fault of a plugin made for another contract level. */
export function wrongLevel(found: PluginPackage, level: unknown, at: ConfigPlace | undefined): TowlineError {
  const message = `The package "${found.name}" ${found.version} was made for contract level ${String(level)}; this relay has level ${CONTRACT_LEVEL}.`;
  return pluginFault('plugin_contract', message, { at });
}
