import type { DeviceHandler } from '@towline/contract';
import { createReconnectPolicy, keepLinked, type LinkState, startDeadline } from '@towline/link';
import { ERRORS, type ErrorCode, TowlineError, toTowlineError } from '@towline/protocol';
import { createTlsDial } from '@towline/transport-tls/dial';
import { type DeviceCredential, keepRenewedKey } from './credential.ts';
import type { Enrolment } from './identity.ts';
import { SessionJournal } from './journal.ts';
import { LiveSessions } from './live-sessions.ts';
import type { LoggedIn } from './log-in.ts';
import { isRoot } from './root.ts';
import type { Runtime } from './runtime.ts';
import { type LinkHost, serveLink } from './serve-link.ts';

/** Time to end sessions and report them when the runtime is stopped, milliseconds. */
const DRAIN_MS = 3_000;

/** Errors that no waiting heals. */
const HOPELESS: readonly ErrorCode[] = Object.freeze([
  'device_removed',
  'device_replaced',
  'device_identity',
  'key_revoked',
  'key_expired',
  'key_wrong_kind',
  'proof_invalid',
]);
/** Until the device was online once these are faults of what was typed; afterwards they may pass. */
const HOPELESS_AT_FIRST: readonly ErrorCode[] = Object.freeze(['unauthenticated', 'forbidden', 'relay_untrusted', 'relay_not_towline']);

/** What {@link stayConnected} takes. */
export interface ConnectOptions {
  readonly runtime: Runtime;
  readonly handlers: ReadonlyMap<string, DeviceHandler>;
  readonly credential: DeviceCredential;
  /** Random per start of the runtime. */
  readonly instance: string;
}

/** Keeps the device online and serves it until the runtime's signal aborts. @throws TowlineError what no waiting heals. */
export async function stayConnected(options: ConnectOptions): Promise<void> {
  const { runtime } = options;
  const connection = new Connection(options, await runtime.settings.files.enrolment());
  const over = new AbortController();
  const stop = () => void connection.drain().finally(() => over.abort());
  runtime.signal.addEventListener('abort', stop, { once: true });
  if (runtime.signal.aborted) stop();
  try {
    await connection.run(over.signal);
  } finally {
    runtime.signal.removeEventListener('abort', stop);
    // Whatever ended the connection, nothing that a session started may outlive the runtime.
    await connection.drain();
  }
}

/** The device's connection to its relay, link after link. */
class Connection {
  readonly #options: ConnectOptions;
  readonly #sessions: LiveSessions;
  readonly #journal = new SessionJournal({ monotonicMs: () => performance.now() });
  readonly #hopeless: Set<ErrorCode>;
  #apiKey: string;
  #enrolment: Enrolment | null;
  #online = false;

  constructor(options: ConnectOptions, enrolment: Enrolment | null) {
    this.#options = options;
    this.#sessions = new LiveSessions(options.runtime.settings.maxSessions);
    this.#apiKey = options.credential.apiKey;
    this.#enrolment = enrolment;
    this.#hopeless = new Set([...HOPELESS, ...(enrolment === null ? HOPELESS_AT_FIRST : [])]);
  }

  run(signal: AbortSignal): Promise<void> {
    const { settings, env, log } = this.#options.runtime;
    const transport = createTlsDial({ environment: env, warn: (text) => log.warn(text) });
    return keepLinked({
      dial: (until) =>
        transport.dial({
          relay: settings.relay,
          role: 'device',
          credential: { header: 'X-API-Key', value: this.#apiKey },
          trust: settings.trust,
          signal: until,
        }),
      serve: async (link, over) => {
        try {
          await serveLink(link, over, this.#linkHost(transport.name));
        } finally {
          this.#online = false;
        }
      },
      onState: (state) => this.#report(state),
      policy: createReconnectPolicy(Math.random),
      hopeless: this.#hopeless,
      signal,
    });
  }

  /** Ends all sessions, admits none, and gives the relay a moment to take note. */
  async drain(): Promise<void> {
    this.#sessions.close();
    const stopped = 'The runtime on the device was stopped.';
    this.#sessions.endAll({ reason: 'runtime_stopped', message: stopped }, new TowlineError('device_offline', stopped));
    using deadline = startDeadline(DRAIN_MS, () => new TowlineError('timeout', 'Not all sessions ended in time.'));
    await this.#sessions.whenEmpty(deadline.signal);
    if (this.#online) await this.#journal.whenEmpty(deadline.signal);
  }

  #linkHost(transport: string): LinkHost {
    const { runtime, handlers, instance } = this.#options;
    const { settings, identity, log, clock } = runtime;
    return {
      identity,
      instance,
      handlers,
      sessions: this.#sessions,
      journal: this.#journal,
      runAs: settings.runAs,
      isRoot: isRoot(),
      log,
      clock,
      known: this.#enrolment ?? undefined,
      onOnline: (loggedIn) => this.#beOnline(loggedIn, transport),
      saveGrantKeys: (grantKeys) => this.#save({ ...this.#enrolment!, grantKeys }),
      storeApiKey: (apiKey) => this.#storeApiKey(apiKey),
    };
  }

  async #beOnline({ relayId, name, grantKeys }: LoggedIn, transport: string): Promise<void> {
    const { settings, emit, identity } = this.#options.runtime;
    this.#online = true;
    for (const code of HOPELESS_AT_FIRST) this.#hopeless.delete(code);
    if (this.#enrolment === null) emit({ event: 'enrolled', device: identity.deviceId, name });
    if (grantKeys !== null) await this.#save({ url: settings.relay.origin, relayId, name, grantKeys });
    emit({ event: 'online', relay: settings.relay.origin, transport });
  }

  /** A disk that is full must not take the device offline: what could not be kept is kept at the next chance. */
  async #save(enrolment: Enrolment): Promise<void> {
    const changed = JSON.stringify(this.#enrolment) !== JSON.stringify(enrolment);
    this.#enrolment = enrolment;
    if (!changed) return;
    const { settings, log } = this.#options.runtime;
    await settings.files.saveEnrolment(enrolment).catch((error: unknown) => {
      const { code, message } = toTowlineError(error);
      log.error('the enrolment could not be stored', { code, message });
    });
  }

  async #storeApiKey(apiKey: string): Promise<void> {
    await keepRenewedKey(this.#options.runtime.settings, apiKey);
    this.#apiKey = apiKey;
  }

  #report(state: LinkState): void {
    if (state.state !== 'waiting') return;
    const { code, message } = state.error;
    const text = message || ERRORS[code].text;
    this.#options.runtime.emit({ event: 'offline', code, message: text, retry_ms: Math.round(state.delayMs) });
  }
}
