import type { DeviceHandler, DialTransport, Link } from '@towline/contract';
import {
  createLadder,
  createProcessMemory,
  createReconnectPolicy,
  keepLinked,
  type Ladder,
  type LadderLink,
  type LinkPlace,
  type LinkState,
  LOST_ON_THE_WAY,
  PROVEN_AFTER_MS,
  type Sleep,
  startDeadline,
} from '@towline/link';
import { ERRORS, type ErrorCode, TowlineError, toTowlineError } from '@towline/protocol';
import { type DeviceCredential, keepRenewedKey } from './credential.ts';
import type { Enrolment } from './identity.ts';
import { SessionJournal } from './journal.ts';
import { createLadderFile } from './ladder-file.ts';
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
  /** Ways to reach the relay, best first. */
  readonly rungs: readonly DialTransport[];
  /** Random per start of the runtime. */
  readonly instance: string;
  /** Waits between attempts; a timer by default. */
  readonly sleep?: Sleep;
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

/** The device's connection to its relay, link after link, and for a while two beside each other. */
class Connection {
  readonly #options: ConnectOptions;
  readonly #sessions: LiveSessions;
  readonly #journal = new SessionJournal({ monotonicMs: () => performance.now() });
  readonly #hopeless: Set<ErrorCode>;
  readonly #ladder: Ladder;
  /** How each link came about. */
  readonly #ways = new WeakMap<Link, LadderLink>();
  /** Links on which the device is logged in. */
  readonly #online = new Set<Link>();
  #apiKey: string;
  #enrolment: Enrolment | null;

  constructor(options: ConnectOptions, enrolment: Enrolment | null) {
    const { settings, log } = options.runtime;
    this.#options = options;
    // A transport that was asked for tells nothing of the better ones, so it is not remembered.
    const memory = settings.transport === 'auto' ? createLadderFile(settings.files.dir, log) : createProcessMemory();
    this.#ladder = createLadder({ relay: settings.relay, rungs: options.rungs, memory });
    this.#sessions = new LiveSessions(settings.maxSessions, settings.maxConnections);
    this.#apiKey = options.credential.apiKey;
    this.#enrolment = enrolment;
    this.#hopeless = new Set([...HOPELESS, ...(enrolment === null ? HOPELESS_AT_FIRST : [])]);
  }

  run(signal: AbortSignal): Promise<void> {
    const { sleep } = this.#options;
    return keepLinked({
      dial: (until) => this.#note(this.#ladder.dial(this.#request(until))),
      betterThan: (present) => {
        const { transport } = this.#ways.get(present)!;
        if (!this.#ladder.hasBetter(transport)) return null;
        return (until) => this.#note(this.#ladder.dialBetter(transport, this.#request(until)));
      },
      serve: (link, over, place) => this.#serve(link, over, place),
      onState: (state) => this.#report(state),
      policy: createReconnectPolicy(Math.random),
      hopeless: this.#hopeless,
      ...(sleep === undefined ? {} : { sleep }),
      signal,
    });
  }

  #request(signal: AbortSignal) {
    const { trust } = this.#options.runtime.settings;
    return { role: 'device', credential: { header: 'X-API-Key', value: this.#apiKey }, trust, signal } as const;
  }

  async #note(dialled: Promise<LadderLink>): Promise<Link> {
    const way = await dialled;
    this.#ways.set(way.link, way);
    return way.link;
  }

  async #serve(link: Link, over: AbortSignal, place: LinkPlace): Promise<void> {
    let takenMs: number | undefined;
    let fault: TowlineError | undefined;
    const ready = () => {
      takenMs = performance.now();
      place.ready();
    };
    try {
      await serveLink(link, over, this.#linkHost(link, { beside: place.beside, ready }));
    } catch (error) {
      fault = toTowlineError(error);
      throw error;
    } finally {
      this.#online.delete(link);
      const lost = await this.#wasLost(link, over, fault);
      if (lost) this.#shunUseless(link, takenMs);
    }
  }

  async #wasLost(link: Link, over: AbortSignal, fault: TowlineError | undefined): Promise<boolean> {
    const end = over.aborted ? await link.closed : undefined;
    if (end?.by === 'self' && end.code !== 'link_silent') return false;
    const code = (end ?? fault)?.code;
    return code !== undefined && LOST_ON_THE_WAY.has(code);
  }

  /** A transport whose links come up and lead nowhere, or not for long, must not keep the device from the others. */
  #shunUseless(link: Link, takenMs: number | undefined): void {
    const { transport } = this.#ways.get(link)!;
    if (takenMs === undefined)
      return this.#ladder.shun(transport, 'its connection came up, but was lost before the relay had let the device in.');
    const livedMs = performance.now() - takenMs;
    if (livedMs < PROVEN_AFTER_MS)
      this.#ladder.shun(
        transport,
        `its last connection was lost after ${Math.round(livedMs / 1_000)} s; it is tried again in the background.`,
      );
  }

  /** Ends all sessions, admits none, and gives the relay a moment to take note. */
  async drain(): Promise<void> {
    this.#sessions.close();
    const stopped = 'The runtime on the device was stopped.';
    this.#sessions.endAll({ reason: 'runtime_stopped', message: stopped }, new TowlineError('device_offline', stopped));
    using deadline = startDeadline(DRAIN_MS, () => new TowlineError('timeout', 'Not all sessions ended in time.'));
    await this.#sessions.whenEmpty(deadline.signal);
    if (this.#online.size > 0) await this.#journal.whenEmpty(deadline.signal);
  }

  #linkHost(link: Link, { beside, ready }: LinkPlace): LinkHost {
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
      beside,
      transportNote: this.#noteOf(link),
      onOnline: (loggedIn) => this.#beOnline(loggedIn, link, beside),
      onServing: ready,
      saveGrantKeys: (grantKeys) => this.#save({ ...this.#enrolment!, grantKeys }),
      storeApiKey: (apiKey) => this.#storeApiKey(apiKey),
    };
  }

  async #beOnline({ relayId, name, grantKeys }: LoggedIn, link: Link, beside: boolean): Promise<void> {
    const { settings, emit, identity } = this.#options.runtime;
    this.#online.add(link);
    for (const code of HOPELESS_AT_FIRST) this.#hopeless.delete(code);
    if (this.#enrolment === null) emit({ event: 'enrolled', device: identity.deviceId, name });
    if (grantKeys !== null) await this.#save({ url: settings.relay.origin, relayId, name, grantKeys });
    await this.#ladder.confirm(this.#ways.get(link)!.transport);
    // One beside another is reported when it has taken over.
    if (!beside) this.#emitOnline(link);
  }

  #emitOnline(link: Link): void {
    const { emit, settings } = this.#options.runtime;
    const note = this.#noteOf(link);
    emit({
      event: 'online',
      relay: settings.relay.origin,
      transport: this.#ways.get(link)!.transport,
      ...(note === undefined ? {} : { note }),
    });
  }

  #noteOf(link: Link): string | undefined {
    const { transport: choice } = this.#options.runtime.settings;
    if (choice !== 'auto') return choice === 'quic' ? undefined : 'The runtime was told to use this transport alone.';
    return this.#ladder.noteOf(this.#ways.get(link)!.transport);
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
    switch (state.state) {
      case 'waiting':
        return this.#reportWaiting(state);
      case 'moved':
      case 'moved-back':
        return this.#reportMoved(state);
      case 'staying':
        return this.#reportStaying(state);
      case 'dialling':
      case 'linked':
    }
  }

  #reportWaiting({ error: { code, message }, delayMs }: Extract<LinkState, { state: 'waiting' }>): void {
    const text = message || ERRORS[code].text;
    this.#options.runtime.emit({ event: 'offline', code, message: text, retry_ms: Math.round(delayMs) });
  }

  #reportMoved({ state, link, from }: Extract<LinkState, { readonly from: Link }>): void {
    const { log } = this.#options.runtime;
    const [to, old] = [link, from].map((one) => this.#ways.get(one)!.transport) as [string, string];
    if (state === 'moved') {
      log.info('a better transport took over; sessions on the older one go on there', { from: old, to });
    } else {
      log.warn('a transport was lost while the one before it was still there, which is used again', { from: old, to });
      this.#ladder.shun(old, 'its last connection was lost; it is tried again in the background.');
    }
    this.#emitOnline(link);
  }

  #reportStaying({ link, error: { code, message } }: Extract<LinkState, { state: 'staying' }>): void {
    const { log, status } = this.#options.runtime;
    log.debug('no better transport', { code, message });
    status.update({ note: this.#noteOf(link) ?? null });
  }
}
