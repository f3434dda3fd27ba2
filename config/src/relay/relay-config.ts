import type { Fault, KeyPath } from '../faults/fault.ts';
import type { JsonSchema } from '../reading/json-schema.ts';
import type { EncryptionKey } from './encryption-key.ts';

/** A plugin that the configuration names, with its options still unchecked. */
export interface PluginEntry {
  /** Name of the plugin within its kind. */
  readonly use: string;
  /** Options as they are written, variables substituted. {@link RelayConfig.optionsOf} also fits their types. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Where the entry is: `['auth', 0]`, or of a shorthand `['security', 'jwt']`. Paths of options follow on it. */
  readonly path: KeyPath;
  /** Line of the entry; absent for a default. */
  readonly line?: number;
}

/** An audit sink that the configuration names. */
export interface SinkEntry extends PluginEntry {
  /** Whether sessions are refused while the sink cannot write. */
  readonly required: boolean;
}

/** The configuration of a relay, checked, with defaults filled in. */
export interface RelayConfig {
  /** Absolute path of the file; absent when there is none. */
  readonly file?: string;
  /** Absolute folder against which paths in the file and `./plugin` packages are resolved: that of the file, else the working folder. */
  readonly baseDir: string;
  readonly server: {
    readonly host: string;
    /** 0 takes a free port. */
    readonly port: number;
    /** Origin without a slash at its end. */
    readonly publicUrl?: string;
    readonly tls: { readonly enabled: boolean /** Both files or none, absolute. */; readonly certFile?: string; readonly keyFile?: string };
    /** Addresses and CIDR networks. */
    readonly trustedProxies: readonly string[];
  };
  /** Absolute. */
  readonly dataDir: string;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Normalised, each once. */
  readonly adminEmails: readonly string[];
  /** The newest first; empty when none is configured. */
  readonly forwardSecrets: readonly string[];
  /** What secrets in the store are encrypted with, the newest first; empty when none is configured. */
  readonly encryptionKeys: readonly EncryptionKey[];
  readonly store: PluginEntry;
  readonly auth: readonly PluginEntry[];
  readonly audit: { readonly sinks: readonly SinkEntry[] };
  readonly streams: readonly PluginEntry[];
  readonly transports: readonly PluginEntry[];
  /** Packages beyond the distribution's: names, or paths relative to `baseDir`. */
  readonly plugins: readonly string[];
  readonly enrolment: { readonly expiryMs: number; readonly maxPendingPerOwner: number; readonly maxPendingPerAddress: number };
  /** Limits of every session, milliseconds; 0: none. */
  readonly sessions: { readonly idleMs: number; readonly maxDurationMs: number };
  /** What is taken but should be known: to be logged at the start. */
  readonly warnings: readonly string[];
  /** Options of an entry, with what came out of variables turned into the numbers and booleans that the schema wants. */
  optionsOf(entry: PluginEntry, schema?: JsonSchema): Readonly<Record<string, unknown>>;
  /** A fault with the file and line of a path. Without `found` the value is described; texts of plugin options by length only. */
  faultAt(path: KeyPath, expected: string, found?: string): Fault;
  /** The fault of a key that nobody reads, with the nearest of the known names. */
  unknownKeyAt(path: KeyPath, known: readonly string[]): Fault;
}
