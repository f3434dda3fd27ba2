import {
  type AuditSink,
  type AuthProvider,
  type Clock,
  type HostParts,
  isTowlineError,
  type Log,
  PLUGIN_KINDS,
  type PluginHost,
  type PluginInstances,
  type PluginLife,
  type RelayTransport,
  type Store,
  type StreamHandler,
  TowlineError,
} from '@towline/contract';
import { runWithDeadline } from './deadline.ts';
import { withFields } from './log.ts';
import { findShapeFault } from './plugins/instance-shape.ts';
import type { ResolvedPlugin } from './plugins/plugin-entry.ts';
import { PluginFaults, pluginFault, reasonOf } from './plugins/plugin-faults.ts';

/** Time a plugin has to start, milliseconds: a database on a slow disk that has to migrate. */
const START_DEADLINE_MS = 30_000;
/** Time a plugin has to stop, milliseconds: service managers kill after 90 s, and several plugins may hang. */
const DISPOSE_DEADLINE_MS = 10_000;

/** What {@link startPlugins} takes besides the plugins. */
export interface StartSettings {
  readonly log: Log;
  readonly clock: Clock;
  /** Folder of the relay's data, absolute. */
  readonly dataDir: string;
  /** Folder against which relative paths in options count, absolute. */
  readonly baseDir: string;
  /** Gives the start up: what was created is disposed. */
  readonly signal?: AbortSignal;
  readonly startDeadlineMs?: number;
  readonly disposeDeadlineMs?: number;
}

/** Plugins that run, in the order of their start. */
export interface StartedPlugins extends AsyncDisposable {
  readonly store: Store;
  readonly sinks: readonly { readonly name: string; readonly sink: AuditSink; readonly required: boolean }[];
  readonly providers: readonly { readonly name: string; readonly provider: AuthProvider }[];
  readonly streams: readonly { readonly name: string; readonly handler: StreamHandler }[];
  readonly transports: readonly { readonly name: string; readonly transport: RelayTransport }[];
  /** Sinks with `required: false` that failed and were left out. */
  readonly skipped: readonly { readonly name: string; readonly error: TowlineError }[];
  /** Stops in reverse order. Each has its deadline, none keeps the next from being stopped. Idempotent. @throws PluginFaults with all faults. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Creates and starts plugins by kind and, within a kind, in the given order. Any failure stops the start and disposes
 * what was created, the failed one included, in reverse order; only a sink with `required: false` is left out instead.
 * @throws PluginFaults: the failure first, then what went wrong while disposing.
 */
export async function startPlugins(resolved: readonly ResolvedPlugin[], settings: StartSettings): Promise<StartedPlugins> {
  requireOneStore(resolved);
  const running = new RunningPlugins(settings);
  const ordered = [...resolved].sort((a, b) => PLUGIN_KINDS.indexOf(a.kind) - PLUGIN_KINDS.indexOf(b.kind));
  for (const plugin of ordered) {
    const failure = await running.start(plugin);
    if (failure === null) continue;
    const others = await running.stopAll();
    throw new PluginFaults([failure, ...others]);
  }
  return running;
}

type Instance = PluginInstances[keyof PluginInstances] & PluginLife;

interface Running {
  readonly plugin: ResolvedPlugin;
  readonly instance: Instance;
}

class RunningPlugins implements StartedPlugins {
  readonly #settings: StartSettings;
  readonly #running: Running[] = [];
  readonly #skipped: { name: string; error: TowlineError }[] = [];
  #stopping: Promise<void> | undefined;

  constructor(settings: StartSettings) {
    this.#settings = settings;
  }

  get store(): Store {
    return this.#ofKind('store')[0]!.instance;
  }

  get sinks(): StartedPlugins['sinks'] {
    return this.#ofKind('audit').map(({ plugin, instance }) => ({ name: plugin.name, sink: instance, required: plugin.required ?? true }));
  }

  get providers(): StartedPlugins['providers'] {
    return this.#ofKind('auth').map(({ plugin, instance }) => ({ name: plugin.name, provider: instance }));
  }

  get streams(): StartedPlugins['streams'] {
    return this.#ofKind('stream').map(({ plugin, instance }) => ({ name: plugin.name, handler: instance }));
  }

  get transports(): StartedPlugins['transports'] {
    return this.#ofKind('transport').map(({ plugin, instance }) => ({ name: plugin.name, transport: instance }));
  }

  get skipped(): StartedPlugins['skipped'] {
    return this.#skipped;
  }

  /** Starts one plugin. Answers the fault that must stop the start of all. */
  async start(plugin: ResolvedPlugin): Promise<TowlineError | null> {
    const failure = await this.#begin(plugin);
    if (failure === null) return null;
    const mayMiss = plugin.kind === 'audit' && plugin.required === false && this.#settings.signal?.aborted !== true;
    if (!mayMiss) return failure;
    await this.#skip(plugin, failure);
    return null;
  }

  /** Disposes in reverse order and answers what went wrong. */
  async stopAll(): Promise<readonly TowlineError[]> {
    const faults: TowlineError[] = [];
    for (let last = this.#running.pop(); last !== undefined; last = this.#running.pop()) {
      const fault = await this.#dispose(last);
      if (fault !== null) faults.push(fault);
    }
    return faults;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const [first, ...others] = await this.stopAll();
    if (first !== undefined) throw new PluginFaults([first, ...others]);
  }

  #ofKind<Kind extends keyof PluginInstances>(kind: Kind): { readonly plugin: ResolvedPlugin; readonly instance: PluginInstances[Kind] }[] {
    return this.#running.filter(({ plugin }) => plugin.kind === kind) as { plugin: ResolvedPlugin; instance: PluginInstances[Kind] }[];
  }

  async #begin(plugin: ResolvedPlugin): Promise<TowlineError | null> {
    const { startDeadlineMs = START_DEADLINE_MS, signal } = this.#settings;
    const onTimeout = () =>
      pluginFault('plugin_timeout', `${nameOf(plugin)} did not start within ${startDeadlineMs / 1_000} s.`, { at: plugin.at });
    try {
      signal?.throwIfAborted();
      const instance = this.#create(plugin);
      await runWithDeadline((given) => instance.start?.(given), { ms: startDeadlineMs, onTimeout, ...(signal ? { signal } : {}) });
      return null;
    } catch (error) {
      if (signal?.aborted === true) return new TowlineError('cancelled', 'The start of the relay was given up.', { cause: error });
      return isTowlineError(error) && error.code === 'plugin_timeout' ? error : startFault(plugin, error);
    }
  }

  #create(plugin: ResolvedPlugin): Instance {
    const instance = plugin.plugin.create(plugin.options, this.#hostOf(plugin)) as Instance;
    // Kept before it is looked at: what is of the wrong shape may still hold something to dispose.
    if (typeof instance === 'object' && instance !== null) this.#running.push({ plugin, instance });
    const fault = findShapeFault(plugin.kind, instance);
    if (fault !== null) throw new Error(`${fault}.`);
    return instance;
  }

  /** Log, clock and what was asked for: nothing else can be reached through it. */
  #hostOf({ kind, name, plugin }: ResolvedPlugin): PluginHost<keyof HostParts> {
    const { log, clock, dataDir, baseDir } = this.#settings;
    const base = { log: withFields(log, { plugin: `${kind}/${name}` }), clock };
    const store = plugin.needs.includes('store') ? { store: this.store } : {};
    const folder = plugin.needs.includes('dataDir') ? { dataDir } : {};
    const configFolder = plugin.needs.includes('baseDir') ? { baseDir } : {};
    return Object.freeze({ ...base, ...store, ...folder, ...configFolder }) as PluginHost<keyof HostParts>;
  }

  async #skip(plugin: ResolvedPlugin, failure: TowlineError): Promise<void> {
    const warning = `AUDIT SINK "${plugin.name}" IS LEFT OUT: it failed to start and is marked required: false. No record goes there until the relay is started again.`;
    this.#settings.log.warn(warning, { error: failure });
    this.#skipped.push({ name: plugin.name, error: failure });
    if (this.#running.at(-1)?.plugin !== plugin) return;
    const fault = await this.#dispose(this.#running.pop()!);
    if (fault !== null) this.#settings.log.warn(fault.message, { error: fault });
  }

  async #dispose({ plugin, instance }: Running): Promise<TowlineError | null> {
    const ms = this.#settings.disposeDeadlineMs ?? DISPOSE_DEADLINE_MS;
    const onTimeout = () =>
      pluginFault('plugin_timeout', `${nameOf(plugin)} did not stop within ${ms / 1_000} s.`, {
        at: plugin.at,
        hint: 'It may have left something open; tell its author.',
      });
    try {
      await runWithDeadline(() => instance[Symbol.asyncDispose]?.(), { ms, onTimeout });
      return null;
    } catch (cause) {
      if (isTowlineError(cause) && cause.code === 'plugin_timeout') return cause;
      return pluginFault('plugin_failed', `${nameOf(plugin)} failed while it stopped: ${reasonOf(cause)}`, { at: plugin.at, cause });
    }
  }
}

function nameOf({ kind, name, package: { name: from } }: ResolvedPlugin): string {
  return `The ${kind} plugin "${name}" of ${from}`;
}

function startFault(plugin: ResolvedPlugin, cause: unknown): TowlineError {
  const hint = isTowlineError(cause) ? { hint: cause.hint } : {};
  return pluginFault('plugin_failed', `${nameOf(plugin)} failed to start: ${reasonOf(cause)}`, { at: plugin.at, cause, ...hint });
}

function requireOneStore(resolved: readonly ResolvedPlugin[]): void {
  const stores = resolved.filter(({ kind }) => kind === 'store');
  if (stores.length === 1) return;
  const [code, message] =
    stores.length === 0
      ? (['plugin_missing', 'No store is configured.'] as const)
      : (['plugin_duplicate', `One store is allowed, and ${stores.length} are configured.`] as const);
  throw new PluginFaults([pluginFault(code, message, { at: stores[1]?.at, hint: 'Name exactly one under `store` in the config.' })]);
}
