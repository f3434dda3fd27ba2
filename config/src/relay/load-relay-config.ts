import { dirname, resolve } from 'node:path';
import { configInvalid, type Fault, firstPerKey } from '../faults/fault.ts';
import { schemaFaults } from '../faults/schema-faults.ts';
import { coerceTree } from '../reading/coercion.ts';
import { readConfigFile } from '../reading/config-file.ts';
import { emptyMap, type MapNode, toPlain } from '../reading/config-node.ts';
import { overlayFlags, overlayVariables } from '../reading/overlay.ts';
import { type Environment, substituteTree } from '../reading/substitution.ts';
import { readYamlDocument } from '../reading/yaml-document.ts';
import { authRuleFaults } from './auth-rules.ts';
import { placeJwtVariables } from './auth-shorthand.ts';
import { buildRelayConfig, isPrivatePath } from './build-relay-config.ts';
import type { RelayConfig } from './relay-config.ts';
import { relayRuleFaults } from './relay-rules.ts';
import { relayConfigJsonSchema, relaySchema } from './relay-schema.ts';
import { RELAY_VARIABLES, type RelayFlags, relayFlags } from './relay-variables.ts';
import { placeStoreVariable, storeVariableFaults, storeWithPlace } from './store-variable.ts';

/** Where the configuration of a relay comes from. */
export interface RelayConfigSources {
  /** YAML file, relative to `cwd`. Left out: defaults, variables and flags alone. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** Absolute working folder. */
  readonly cwd: string;
  readonly flags?: RelayFlags;
}

/** A configuration, or everything that is wrong with it. */
export type RelayConfigCheck =
  | { readonly ok: true; readonly config: RelayConfig }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Loads the configuration of a relay. @throws TowlineError `config_invalid`, whose message lists every fault. */
export function loadRelayConfig(sources: RelayConfigSources): RelayConfig {
  const check = checkRelayConfig(sources);
  if (!check.ok) throw configInvalid(check.faults);
  return check.config;
}

/** Loads the configuration of a relay and answers with all of its faults as values. */
export function checkRelayConfig(sources: RelayConfigSources): RelayConfigCheck {
  const { cwd, env } = sources;
  const file = sources.file === undefined ? undefined : resolve(cwd, sources.file);
  const written = readRoot(file, sources.file);
  const varied = overlayVariables(storeWithPlace(written.root, env), RELAY_VARIABLES, env);
  const substituted = substituteTree(overlayFlags(varied.root, relayFlags(sources.flags ?? {})), env);
  const jsonSchema = relayConfigJsonSchema();
  const root = coerceTree(placeStoreVariable(placeJwtVariables(substituted.node)), jsonSchema);
  const parsed = relaySchema.safeParse(toPlain(root));
  const issues = parsed.success ? [] : schemaFaults(parsed.error.issues, { root, jsonSchema, isSecret: isPrivatePath });
  const faults = firstPerKey([
    ...written.faults,
    ...varied.faults,
    ...substituted.faults,
    ...issues,
    ...relayRuleFaults(root),
    ...authRuleFaults(root),
    ...storeVariableFaults(root),
  ]);
  if (faults.length > 0 || !parsed.success) return { ok: false, faults };
  const baseDir = file === undefined ? cwd : dirname(file);
  return { ok: true, config: buildRelayConfig(parsed.data, { root, file, baseDir, cwd }) };
}

function readRoot(file: string | undefined, shown: string | undefined): { root: MapNode; faults: readonly Fault[] } {
  if (file === undefined || shown === undefined) return { root: emptyMap({ file: 'built-in defaults' }), faults: [] };
  const read = readConfigFile(file, shown);
  return 'fault' in read ? { root: emptyMap({ file: shown }), faults: [read.fault] } : readYamlDocument(read.text, shown);
}
