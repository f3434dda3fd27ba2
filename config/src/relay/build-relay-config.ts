import { resolve } from 'node:path';
import { normaliseEmail } from '@towline/protocol';
import type { KeyPath } from '../faults/fault.ts';
import { faultAtPath } from '../faults/node-fault.ts';
import { unknownKey } from '../faults/schema-faults.ts';
import { coerceTree } from '../reading/coercion.ts';
import { type MapNode, nodeAt, originAt, toPlain, withoutKey } from '../reading/config-node.ts';
import { parseDuration } from '../reading/duration.ts';
import type { JsonSchema } from '../reading/json-schema.ts';
import { httpsOrigin } from '../reading/network-name.ts';
import { authWarnings, blockAt, enabledShorthands } from './auth-shorthand.ts';
import { type EncryptionKey, encryptionKeyBytes } from './encryption-key.ts';
import type { PluginEntry, RelayConfig, SinkEntry } from './relay-config.ts';
import type { RelayConfigInput } from './relay-schema.ts';

/** What a configuration is built from besides the checked values. */
export interface RelayConfigSource {
  /** The values with their lines, variables substituted. */
  readonly root: MapNode;
  /** Absolute path of the file. */
  readonly file: string | undefined;
  readonly baseDir: string;
  readonly cwd: string;
}

/** Builds the configuration from values that passed every check. */
export function buildRelayConfig(input: RelayConfigInput, source: RelayConfigSource): RelayConfig {
  const { root, file, baseDir } = source;
  const entries = (key: 'streams' | 'transports') => input[key].map((value, at) => pluginEntry(root, [key, at], value));
  const auth = authEntries(input, root);
  return {
    ...(file === undefined ? {} : { file }),
    baseDir,
    server: buildServer(input.server, source),
    dataDir: pathOf(input.data, ['data'], source),
    logLevel: input.log_level,
    adminEmails: [...new Set(input.admin_emails.map((email) => normaliseEmail(email) ?? email))],
    forwardSecrets: input.forward_secrets ?? (input.forward_secret === undefined ? [] : [input.forward_secret]),
    encryptionKeys: encryptionKeys(input.credentials),
    store: pluginEntry(root, ['store'], input.store),
    auth,
    audit: { sinks: input.audit.sinks.map((value, at) => sinkEntry(root, ['audit', 'sinks', at], value)) },
    streams: entries('streams'),
    transports: entries('transports'),
    plugins: input.plugins,
    enrolment: {
      // The schema has checked that it is one.
      expiryMs: parseDuration(input.enrolment.expiry)!,
      maxPendingPerOwner: input.enrolment.max_pending_per_owner,
      maxPendingPerAddress: input.enrolment.max_pending_per_address,
    },
    sessions: { idleMs: parseDuration(input.sessions.idle)!, maxDurationMs: parseDuration(input.sessions.max_duration)! },
    warnings: authWarnings(auth, input.server.tls.enabled),
    optionsOf: (entry, schema) => optionsOf(root, entry, schema),
    faultAt: (path, expected, found) =>
      faultAtPath(root, path, { expected, secret: isPrivatePath(path), ...(found === undefined ? {} : { found }) }),
    unknownKeyAt: (path, known) => unknownKey(root, path, known),
  };
}

/** Whether texts at this path may be secrets: those of the kernel, and whatever belongs to a plugin. */
export function isPrivatePath(path: KeyPath): boolean {
  const [first] = path;
  if (first === 'forward_secret' || first === 'forward_secrets') return true;
  if (first === 'credentials') return path[1] !== 'storage';
  if (first === 'security') return ['secret', 'password'].includes(String(path.at(-1)));
  const depth = first === 'store' ? 1 : first === 'audit' ? 3 : 2;
  return (
    ['store', 'auth', 'audit', 'streams', 'transports'].includes(String(first)) &&
    path.length > depth &&
    !['use', 'required'].includes(String(path.at(-1)))
  );
}

function buildServer(server: RelayConfigInput['server'], source: RelayConfigSource): RelayConfig['server'] {
  const { cert_file: cert, key_file: key } = server.tls;
  return {
    host: server.host,
    port: server.port,
    ...(server.public_url === undefined ? {} : { publicUrl: httpsOrigin(server.public_url) ?? server.public_url }),
    tls: {
      enabled: server.tls.enabled,
      ...(cert === undefined ? {} : { certFile: pathOf(cert, ['server', 'tls', 'cert_file'], source) }),
      ...(key === undefined ? {} : { keyFile: pathOf(key, ['server', 'tls', 'key_file'], source) }),
    },
    trustedProxies: server.trusted_proxies,
  };
}

function encryptionKeys({ encryption_key: key, encryption_keys: ring }: RelayConfigInput['credentials']): EncryptionKey[] {
  // The schema has checked that they are keys.
  if (ring !== undefined) return ring.map((each) => ({ id: each.id, bytes: encryptionKeyBytes(each.key)! }));
  return key === undefined ? [] : [{ bytes: encryptionKeyBytes(key)! }];
}

/** Paths of the file and defaults begin at the file's folder; those of variables and flags where the program was started. */
function pathOf(path: string, key: KeyPath, source: RelayConfigSource): string {
  const typed = nodeAt(source.root, key)?.origin.name !== undefined;
  return resolve(typed ? source.cwd : source.baseDir, path);
}

/** The entries of `auth`, and those that a shorthand stands for behind them. */
function authEntries(input: RelayConfigInput, root: MapNode): PluginEntry[] {
  const shorthands = enabledShorthands(root);
  const listed = nodeAt(root, ['auth']) !== undefined || blockAt(root, 'api_keys') === undefined ? input.auth : [];
  const standing = shorthands.map(({ block, use }) => {
    const { enabled: _, ...options } = input.security[block] ?? { enabled: true };
    return pluginEntry(root, ['security', block], { use, ...options });
  });
  return [...listed.map((value, at) => pluginEntry(root, ['auth', at], value)), ...standing];
}

type EntryInput = string | { readonly use: string; readonly [option: string]: unknown };

function pluginEntry(root: MapNode, path: KeyPath, value: EntryInput): PluginEntry {
  const line = nodeAt(root, path) === undefined ? undefined : originAt(root, path).line;
  const place = { path, ...(line === undefined ? {} : { line }) };
  if (typeof value === 'string') return { use: value, options: {}, ...place };
  const { use, ...options } = value;
  return { use, options, ...place };
}

function sinkEntry(root: MapNode, path: KeyPath, value: EntryInput): SinkEntry {
  const entry = pluginEntry(root, path, value);
  const { required = true, ...options } = entry.options;
  return { ...entry, options, required: required === true };
}

function optionsOf(root: MapNode, entry: PluginEntry, schema: JsonSchema | undefined): Readonly<Record<string, unknown>> {
  const node = nodeAt(root, entry.path);
  if (schema === undefined || node?.kind !== 'map') return entry.options;
  const withoutUse = withoutKey(node, entry.path[0] === 'security' ? 'enabled' : 'use');
  const options = entry.path[0] === 'audit' ? withoutKey(withoutUse, 'required') : withoutUse;
  return toPlain(coerceTree(options, schema)) as Record<string, unknown>;
}
