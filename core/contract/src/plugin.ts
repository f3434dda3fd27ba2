import type { AuditSink } from './audit.ts';
import type { AuthProvider } from './auth.ts';
import type { Store } from './store.ts';
import type { StreamHandler } from './stream-relay.ts';
import type { RelayTransport } from './transport.ts';

/** Level of this contract. A plugin states the level it was written for; another level is refused before it runs. */
export const CONTRACT_LEVEL = 1;

/** Kinds in the order in which they start. A plugin may need only an earlier kind, so no cycle can be written. */
export const PLUGIN_KINDS = Object.freeze(['store', 'audit', 'auth', 'stream', 'transport'] as const);
/** Kind of a plugin. */
export type PluginKind = (typeof PLUGIN_KINDS)[number];

/** What `create` returns for each kind. */
export interface PluginInstances {
  store: Store;
  audit: AuditSink;
  auth: AuthProvider;
  stream: StreamHandler;
  transport: RelayTransport;
}

/** Life cycle of an instance. `create` does no I/O; `start` does. */
export interface PluginLife {
  /** Opens files and connections. Abort means that the start is given up: stop waiting and throw. */
  start?(signal: AbortSignal): Promise<void>;
  /** Works after a failed start, and twice. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** Log of a plugin: message first, then fields. Secrets are redacted by key name, but do not pass any. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Time, so that a test can turn it. */
export interface Clock {
  /** Unix time, milliseconds. */
  now(): number;
}

/** Things a plugin may ask for by naming them in `needs`. Each is of an earlier kind, or the kernel's own. */
export interface HostParts {
  /** The store. Not for plugins of kind store or audit. */
  store: Store;
  /** Folder of the relay's data, absolute. Only for files that belong to the plugin. */
  dataDir: string;
  /** Folder against which relative paths in the plugin's options count: that of the config file, absolute. */
  baseDir: string;
}

/** What the kernel hands to `create`: always log and clock, and what `needs` named. */
export type PluginHost<Needs extends keyof HostParts = never> = { readonly log: Log; readonly clock: Clock } & Readonly<
  Pick<HostParts, Needs>
>;

/**
 * A schema by the Standard Schema interface (zod, valibot, arktype, …).
 * @see https://standardschema.dev version 1
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}
/** Answer of a {@link StandardSchema}. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

/** What {@link definePlugin} takes. */
export interface PluginDefinition<Kind extends PluginKind, Options, Needs extends keyof HostParts> {
  readonly kind: Kind;
  /** Name used in the config: lower case, digits and dashes. */
  readonly name: string;
  /** Checks and fills the options of the config entry. Unknown keys should be refused. */
  readonly options: StandardSchema<Options>;
  /** JSON Schema of the options, for the reference and for nearest names. Left out: taken from a zod schema. */
  readonly optionsJsonSchema?: Readonly<Record<string, unknown>>;
  readonly needs?: readonly Needs[];
  /** Builds the instance. No I/O, no timers. */
  create(options: Options, host: PluginHost<Needs>): PluginInstances[Kind] & PluginLife;
}

const BRAND = Symbol.for('towline.plugin');

/** A plugin as the kernel sees it. */
export interface Plugin<Kind extends PluginKind = PluginKind> {
  readonly [BRAND]: true;
  readonly contract: number;
  readonly kind: Kind;
  readonly name: string;
  readonly options: StandardSchema;
  readonly optionsJsonSchema: Readonly<Record<string, unknown>> | undefined;
  readonly needs: readonly (keyof HostParts)[];
  create(options: unknown, host: PluginHost<keyof HostParts>): PluginInstances[Kind] & PluginLife;
}

/** Makes a plugin. It is exported by the package and named in its manifest (`towline.plugins` in package.json). */
export function definePlugin<Kind extends PluginKind, Options, Needs extends keyof HostParts = never>(
  definition: PluginDefinition<Kind, Options, Needs>,
): Plugin<Kind> {
  return Object.freeze({
    [BRAND]: true as const,
    contract: CONTRACT_LEVEL,
    kind: definition.kind,
    name: definition.name,
    options: definition.options,
    optionsJsonSchema: definition.optionsJsonSchema,
    needs: definition.needs ?? [],
    create: definition.create as Plugin<Kind>['create'],
  });
}

/** Recognises what {@link definePlugin} made, also in another installed copy of this package. */
export function isPlugin(value: unknown): value is Plugin {
  return typeof value === 'object' && value !== null && BRAND in value;
}
