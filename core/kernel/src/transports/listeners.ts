import {
  isTowlineError,
  type ListenerState,
  type Log,
  type RelayCertificate,
  type RelayDoor,
  type RelayTransport,
  TowlineError,
  type TransportListener,
  toTowlineError,
} from '@towline/contract';
import { runWithDeadline } from '../deadline.ts';
import { PluginFaults, pluginFault, reasonOf } from '../plugins/plugin-faults.ts';
import { readListenerState } from './listener-state.ts';

/** Time a transport has to open its listener, milliseconds. */
const LISTEN_DEADLINE_MS = 30_000;
/** Time a listener has to close, milliseconds: service managers kill after 90 s, and several may hang. */
const CLOSE_DEADLINE_MS = 10_000;

/** What {@link createTransportListeners} takes. */
export interface ListenerSettings {
  readonly transports: readonly { readonly name: string; readonly transport: RelayTransport }[];
  readonly log: Log;
  readonly listenDeadlineMs?: number;
  readonly closeDeadlineMs?: number;
}

/** What is handed to each transport that listens by itself; the certificate is the one of the moment. */
export interface DoorSettings extends Pick<RelayDoor, 'host' | 'port' | 'accept'> {
  readonly certificate: () => RelayCertificate | null;
}

/** How the listener of one transport is. */
export interface NamedListenerState {
  readonly name: string;
  readonly state: ListenerState;
}

/** The listeners of the transports that have one of their own. */
export interface TransportListeners {
  /**
   * Opens them in the order of the config. @throws TowlineError of the first that fails; those before it stay
   * open until {@link TransportListeners.close}.
   */
  open(door: DoorSettings, signal: AbortSignal): Promise<void>;
  /** How each is, in the same order. */
  readonly states: readonly NamedListenerState[];
  /** Hands a renewed certificate to each. What one throws is logged and keeps no other from it. */
  renewCertificate(certificate: RelayCertificate): void;
  /** Closes them in reverse order, each within its deadline. Idempotent. @throws PluginFaults with all faults. */
  close(): Promise<void>;
}

interface Listening {
  readonly name: string;
  readonly listener: TransportListener;
}

/** Makes the listeners, none of which is open yet. */
export function createTransportListeners(settings: ListenerSettings): TransportListeners {
  const { transports, log } = settings;
  const open: Listening[] = [];
  return {
    async open(door, signal) {
      for (const { name, transport } of transports) {
        if (transport.listen === undefined) continue;
        const given = door.certificate();
        const listener = await openListener({ name, transport, settings }, doorOf(door, given), signal);
        open.push({ name, listener });
        const present = door.certificate();
        if (present !== null && present !== given) renew({ name, listener }, present, log);
        logState(name, readListenerState(listener), log);
      }
    },
    get states() {
      return open.map(({ name, listener }) => ({ name, state: readListenerState(listener) }));
    },
    renewCertificate(certificate) {
      for (const each of open) renew(each, certificate, log);
    },
    async close() {
      const faults: TowlineError[] = [];
      for (let last = open.pop(); last !== undefined; last = open.pop()) {
        const fault = await closeListener(last, settings);
        if (fault !== null) faults.push(fault);
      }
      const [first, ...others] = faults;
      if (first !== undefined) throw new PluginFaults([first, ...others]);
    },
  };
}

function doorOf({ host, port, accept }: DoorSettings, certificate: RelayCertificate | null): RelayDoor {
  return Object.freeze({ host, port, certificate: certificate && pemOf(certificate), accept });
}

/** No more of what the kernel knows about the certificate. */
function pemOf({ certPem, keyPem }: RelayCertificate): RelayCertificate {
  return Object.freeze({ certPem, keyPem });
}

async function openListener(
  { name, transport, settings }: { readonly name: string; readonly transport: RelayTransport; readonly settings: ListenerSettings },
  door: RelayDoor,
  signal: AbortSignal,
): Promise<TransportListener> {
  const { listenDeadlineMs: ms = LISTEN_DEADLINE_MS } = settings;
  const onTimeout = () => pluginFault('plugin_timeout', `${nameOf(name)} did not listen within ${ms / 1_000} s.`);
  let givenUp = false;
  const listen = async () => {
    const listener = await transport.listen!(door);
    // Nobody waits for it any more, and nobody else would close it.
    if (givenUp) await listener[Symbol.asyncDispose]();
    return listener;
  };
  try {
    const listener: Partial<TransportListener> | undefined = await runWithDeadline(listen, { ms, onTimeout, signal });
    if (isListener(listener)) return listener;
    await listener?.[Symbol.asyncDispose]?.();
    throw new Error('its listen() returned something else than a listener');
  } catch (error) {
    givenUp = true;
    if (signal.aborted) throw new TowlineError('cancelled', 'The start of the relay was given up.', { cause: error });
    if (isTowlineError(error) && error.code === 'plugin_timeout') throw error;
    const hint = isTowlineError(error) ? { hint: error.hint } : {};
    throw pluginFault('plugin_failed', `${nameOf(name)} cannot listen: ${reasonOf(error)}`, { cause: error, ...hint });
  }
}

/** Compilers do not look across packages of other people. */
function isListener(listener: Partial<TransportListener> | undefined): listener is TransportListener {
  return typeof listener?.renewCertificate === 'function' && typeof listener[Symbol.asyncDispose] === 'function';
}

function renew({ name, listener }: Listening, certificate: RelayCertificate, log: Log): void {
  try {
    listener.renewCertificate(pemOf(certificate));
  } catch (error) {
    log.error('a transport did not take the renewed certificate; it goes on with the old one', {
      transport: name,
      error: toTowlineError(error),
    });
  }
}

async function closeListener({ name, listener }: Listening, settings: ListenerSettings): Promise<TowlineError | null> {
  const { closeDeadlineMs: ms = CLOSE_DEADLINE_MS } = settings;
  const hint = 'It may have left something open; tell its author.';
  const onTimeout = () => pluginFault('plugin_timeout', `${nameOf(name)} did not close within ${ms / 1_000} s.`, { hint });
  try {
    await runWithDeadline(async () => listener[Symbol.asyncDispose](), { ms, onTimeout });
    return null;
  } catch (cause) {
    if (isTowlineError(cause) && cause.code === 'plugin_timeout') return cause;
    return pluginFault('plugin_failed', `${nameOf(name)} failed while it closed: ${reasonOf(cause)}`, { cause });
  }
}

function logState(transport: string, { status, detail }: ListenerState, log: Log): void {
  if (status === 'up') log.info('a transport listens', { transport });
  else log.warn('a transport does not listen', { transport, status, detail });
}

function nameOf(name: string): string {
  return `The listener of the transport "${name}"`;
}
