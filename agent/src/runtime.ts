import type { Clock, Log } from '@towline/contract';
import { cancellation } from '@towline/link';
import { createId, type ErrorCode, type SessionId, toTowlineError } from '@towline/protocol';
import { stayConnected } from './connect.ts';
import { type DeviceCredential, obtainCredential } from './credential.ts';
import { createEventWatch } from './event-watch.ts';
import { createEventSink, type EventSink, stoppedBy } from './events.ts';
import type { Identity } from './identity.ts';
import { createLog } from './log.ts';
import { isRoot } from './root.ts';
import { lockRuntime } from './runtime-lock.ts';
import { loadSettings, type RunOptions, type Settings } from './settings.ts';
import { StatusFile } from './status-file.ts';
import { loadHandlers } from './streams.ts';
import { createRungs } from './transports.ts';

/** What a runtime is given by the process it runs in. */
export interface RuntimeIo {
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Aborts when the runtime is to stop. */
  readonly signal: AbortSignal;
}

/** Codes after which the credential is worth nothing any more. */
const CREDENTIAL_IS_DEAD: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['device_removed', 'key_revoked']);

/** A runtime that has its folder, identity and output. */
export interface Runtime {
  readonly settings: Settings;
  readonly identity: Identity;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly clock: Clock;
  readonly emit: EventSink;
  /** What `runtime status` shows; events keep it up to date by themselves. */
  readonly status: StatusFile;
  /** Aborts when the runtime is to stop, or lost its lock. */
  readonly signal: AbortSignal;
}

/**
 * Enrols the device where needed, keeps it online and serves it, until the signal of `io` aborts.
 * @throws TowlineError what no waiting heals; the `stopped` event has told it.
 */
export function runRuntime(options: RunOptions, io: RuntimeIo): Promise<void> {
  return withRuntime(options, io, async (runtime) => {
    warnOfRoot(runtime);
    const handlers = await loadHandlers(runtime.settings.streams, runtime.settings);
    const { log, env, settings } = runtime;
    const rungs = createRungs(settings.transport, { environment: env, warn: (text) => log.warn(text) });
    const credential = await obtain(runtime);
    try {
      await stayConnected({ runtime, handlers, credential, rungs, instance: createId<SessionId>() });
    } catch (error) {
      if (CREDENTIAL_IS_DEAD.has(toTowlineError(error).code)) await forgetCredential(runtime, credential);
      throw error;
    }
  });
}

/** Enrols the device, and no more. */
export function enrolDevice(options: RunOptions, io: RuntimeIo): Promise<void> {
  return withRuntime(options, io, async (runtime) => {
    const { source } = await obtain(runtime);
    if (options.transport !== undefined) await runtime.settings.files.saveTransport(runtime.settings.transport);
    if (source === 'kept') io.stderr(`The device is enrolled at ${runtime.settings.relay.origin} already.\n`);
    if (source === 'environment') io.stderr('TOWLINE_API_KEY holds the key of a device, so there is nothing to enrol.\n');
  });
}

async function withRuntime(options: RunOptions, io: RuntimeIo, work: (runtime: Runtime) => Promise<void>): Promise<void> {
  const log = createLog({ write: io.stderr, monotonicMs: () => performance.now() });
  const clock: Clock = { now: () => Date.now() };
  const settings = await loadSettings(options, io.env);
  await using lock = await lockRuntime(settings.files.dir);
  const identity = await settings.files.identity();
  const status = new StatusFile(settings.files.dir, clock);
  const watch = createEventWatch({ emit: createEventSink({ ...io, json: options.json === true }), status, settings, log });
  const signal = AbortSignal.any([io.signal, lock.lost]);
  const name = (await settings.files.enrolment())?.name ?? null;
  status.update({ state: 'starting', relay: settings.relay.origin, device: identity.deviceId, name });
  try {
    await work({ settings, identity, env: io.env, log, clock, emit: watch.emit, status, signal });
    signal.throwIfAborted();
    status.update({ state: 'stopped', transport: null, note: null, request: null });
  } catch (thrown) {
    const error = signal.aborted ? cancellation(signal) : toTowlineError(thrown);
    watch.emit(stoppedBy(error));
    if (!io.signal.aborted) throw error;
  } finally {
    await watch.settled();
    await status.settled();
  }
}

function obtain({ settings, identity, env, emit, log, signal }: Runtime): Promise<DeviceCredential> {
  return obtainCredential({ settings, identity, env, emit, warn: (text) => log.warn(text), signal });
}

/** It opens nothing any more, and asking again with it would only be noise. The device can be enrolled anew. */
async function forgetCredential({ settings, log }: Runtime, { source }: DeviceCredential): Promise<void> {
  if (source === 'environment') log.warn('TOWLINE_API_KEY holds a credential that is worth nothing any more; remove it');
  else await settings.files.forgetEnrolment();
}

function warnOfRoot({ settings, log }: Runtime): void {
  if (!isRoot() || settings.runAs !== undefined) return;
  log.warn(
    'this runtime is root and was not told as whom to run commands: shells and commands are refused until --run-as USER is given (--run-as root says that it is meant)',
  );
}
