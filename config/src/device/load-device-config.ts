import { join } from 'node:path';
import { configInvalid, type Fault, firstPerKey } from '../faults/fault.ts';
import { faultAtPath } from '../faults/node-fault.ts';
import { schemaFaults } from '../faults/schema-faults.ts';
import { coerceTree } from '../reading/coercion.ts';
import { readConfigFile } from '../reading/config-file.ts';
import { emptyMap, type MapNode, toPlain } from '../reading/config-node.ts';
import { repeatedEntries } from '../reading/list-rule.ts';
import { httpsOrigin } from '../reading/network-name.ts';
import { type ConfigVariable, overlayFlags, overlayVariables } from '../reading/overlay.ts';
import { type Environment, substituteTree } from '../reading/substitution.ts';
import type { DeviceConfig } from './device-config.ts';
import { type DeviceConfigInput, deviceConfigJsonSchema, deviceSchema, readOwner } from './device-schema.ts';

/** Name of the file in the configuration folder of the user that the runtime runs as. */
export const DEVICE_CONFIG_FILE = 'device.yaml';

/** Values of the command line. They win over variables and file. */
export interface DeviceFlags {
  readonly relay?: string;
  /** `user:EMAIL`, `org:ID` or an e-mail address. */
  readonly owner?: string;
  readonly name?: string;
  readonly runAs?: string;
}

/** Where the configuration of a device comes from. */
export interface DeviceConfigSources {
  /** Folder that may hold a device.yaml. */
  readonly dir: string;
  readonly env: Environment;
  readonly flags?: DeviceFlags;
}

/** A configuration, or everything that is wrong with it. */
export type DeviceConfigCheck =
  | { readonly ok: true; readonly config: DeviceConfig }
  | { readonly ok: false; readonly faults: readonly Fault[] };

const DEVICE_VARIABLES: readonly ConfigVariable[] = Object.freeze([
  { name: 'TOWLINE_RELAY', path: ['relay'] },
  { name: 'TOWLINE_OWNER', aliases: ['OWNER_REFERENCE'], path: ['owner'] },
]);

/** Loads the configuration of a device. @throws TowlineError `config_invalid`, whose message lists every fault. */
export async function loadDeviceConfig(sources: DeviceConfigSources): Promise<DeviceConfig> {
  const check = await checkDeviceConfig(sources);
  if (!check.ok) throw configInvalid(check.faults);
  return check.config;
}

/** Loads the configuration of a device and answers with all of its faults as values. */
export async function checkDeviceConfig(sources: DeviceConfigSources): Promise<DeviceConfigCheck> {
  const file = join(sources.dir, DEVICE_CONFIG_FILE);
  const written = await readRoot(file);
  const varied = overlayVariables(written.root, DEVICE_VARIABLES, sources.env);
  const substituted = substituteTree(overlayFlags(varied.root, deviceFlags(sources.flags ?? {})), sources.env);
  const jsonSchema = deviceConfigJsonSchema();
  const root = coerceTree(substituted.node, jsonSchema);
  const parsed = deviceSchema.safeParse(toPlain(root));
  const issues = parsed.success ? [] : schemaFaults(parsed.error.issues, { root, jsonSchema, isSecret: () => false });
  const faults = firstPerKey([...written.faults, ...varied.faults, ...substituted.faults, ...issues, ...repeatedEntries(root, 'streams')]);
  if (faults.length > 0 || !parsed.success) return { ok: false, faults };
  return { ok: true, config: buildDeviceConfig(parsed.data, root, written.present ? file : undefined) };
}

async function readRoot(file: string): Promise<{ root: MapNode; faults: readonly Fault[]; present: boolean }> {
  const read = readConfigFile(file, file);
  if ('text' in read) {
    // Most devices have no such file, and the parser is the larger part of what would be loaded.
    const { readYamlDocument } = await import('../reading/yaml-document.ts');
    return { ...readYamlDocument(read.text, file), present: true };
  }
  const root = emptyMap({ file: 'built-in defaults' });
  return read.absent ? { root, faults: [], present: false } : { root, faults: [read.fault], present: true };
}

function deviceFlags(flags: DeviceFlags) {
  return [
    { name: '--relay', path: ['relay'], value: flags.relay },
    { name: flags.owner?.startsWith('org:') ? '--org' : '--email', path: ['owner'], value: flags.owner },
    { name: '--name', path: ['name'], value: flags.name },
    { name: '--run-as', path: ['run_as'], value: flags.runAs },
  ];
}

function buildDeviceConfig(input: DeviceConfigInput, root: MapNode, file: string | undefined): DeviceConfig {
  const relay = input.relay === undefined ? null : httpsOrigin(input.relay);
  const owner = input.owner === undefined ? null : readOwner(input.owner);
  return {
    ...(file === undefined ? {} : { file }),
    ...(relay === null ? {} : { relay }),
    ...(owner === null ? {} : { owner }),
    ...(input.name === undefined ? {} : { name: input.name }),
    streams: input.streams,
    ...(input.allow === undefined ? {} : { allow: input.allow }),
    ...(input.run_as === undefined ? {} : { runAs: input.run_as }),
    limits: input.limits,
    faultAt: (path, expected, found) => faultAtPath(root, path, { expected, ...(found === undefined ? {} : { found }) }),
  };
}
