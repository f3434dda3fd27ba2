import type { ByteStream, Clock, DeviceHandler, Link, Log } from '@towline/contract';
import { createControlChannel, startDeadline, watchLiveness } from '@towline/link';
import { type DeviceToRelay, deviceToRelay, type GrantKeyRecord, type RelayToDevice, relayToDevice, TowlineError } from '@towline/protocol';
import { type DeviceControl, obey } from './control.ts';
import { GrantCheck } from './grant-check.ts';
import type { Identity } from './identity.ts';
import type { SessionJournal } from './journal.ts';
import { JournalSender } from './journal-sender.ts';
import type { LiveSessions } from './live-sessions.ts';
import { type LoggedIn, logIn } from './log-in.ts';
import { createMessageQueue } from './message-queue.ts';
import { serveStream } from './serve.ts';
import { StreamInbox } from './stream-inbox.ts';

/** Time from the link to the relay's welcome, milliseconds: twice what a relay gives the device. */
const LOG_IN_DEADLINE_MS = 10_000;

/** What a link is served with. What it refers to outlives the link. */
export interface LinkHost {
  readonly identity: Identity;
  /** Random per start of the runtime. */
  readonly instance: string;
  readonly handlers: ReadonlyMap<string, DeviceHandler>;
  readonly sessions: LiveSessions;
  readonly journal: SessionJournal;
  readonly runAs: string | undefined;
  readonly isRoot: boolean;
  readonly log: Log;
  readonly clock: Clock;
  /** Relay and grant keys by which the device knows it again; undefined before its first link with a key put there by hand. */
  readonly known: { readonly relayId: string; readonly grantKeys: readonly GrantKeyRecord[] } | undefined;
  /** An older link of the device goes on until its sessions are over. */
  readonly beside: boolean;
  /** Why the relay is not reached by a better transport. */
  readonly transportNote: string | undefined;
  /** The device is online. `grantKeys` null: it holds none that the relay uses, and serves nothing. */
  onOnline(loggedIn: LoggedIn): Promise<void>;
  /** The link is served from now on. */
  onServing(): void;
  /** The relay renewed its grant keys. */
  saveGrantKeys(grantKeys: readonly GrantKeyRecord[]): Promise<void>;
  storeApiKey(apiKey: string): Promise<void>;
}

/** Serves one link from its control stream to its end. @throws TowlineError why it is of no use. */
export async function serveLink(link: Link, over: AbortSignal, host: LinkHost): Promise<void> {
  // In this turn: the relay may open streams at once.
  const inbox = new StreamInbox(link);
  const { control, loggedIn } = await logInWithin(inbox, over, host);
  const serving = new LinkServing(control, loggedIn, host);
  const stopWatching = watchLiveness(link, control);
  try {
    await host.onOnline(loggedIn);
    serving.start(inbox);
    host.onServing();
    await serving.whenOver(over);
  } finally {
    stopWatching();
    serving.stop();
  }
}

async function logInWithin(inbox: StreamInbox, over: AbortSignal, host: LinkHost) {
  const expired = () => new TowlineError('timeout', `The relay did not welcome the device within ${LOG_IN_DEADLINE_MS / 1_000} s.`);
  const deadline = startDeadline(LOG_IN_DEADLINE_MS, expired, over);
  deadline.signal.addEventListener('abort', () => inbox.fail(deadline.signal.reason as TowlineError), { once: true });
  try {
    const stream = await inbox.control;
    const control: DeviceControl = createControlChannel<DeviceToRelay, RelayToDevice>(stream, {
      encode: deviceToRelay,
      decode: relayToDevice,
    });
    const { identity, instance, sessions, handlers, known, beside, transportNote } = host;
    const facts = { identity, instance, serves: [...handlers.keys()], sessions: sessions.ids, beside, transportNote };
    const loggedIn = await logIn(control, { ...facts, relayId: known?.relayId, grantKeys: known?.grantKeys }, deadline.signal);
    return { control, loggedIn };
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** One link on which the device is logged in. */
class LinkServing {
  readonly #host: LinkHost;
  readonly #control: DeviceControl;
  readonly #check: GrantCheck;
  readonly #sender: JournalSender;
  readonly #device: { readonly id: string; readonly name: string };
  #grantKeys: readonly GrantKeyRecord[];
  /** A device without a clock goes by the relay's, which its own monotonic one carries on. */
  #relayOffsetMs: number;

  constructor(control: DeviceControl, loggedIn: LoggedIn, host: LinkHost) {
    this.#host = host;
    this.#control = control;
    this.#relayOffsetMs = loggedIn.relayTimeMs - performance.now();
    const { deviceId: device } = host.identity;
    this.#check = new GrantCheck({ device, nonce: loggedIn.nonce, relayNowMs: () => performance.now() + this.#relayOffsetMs });
    this.#grantKeys = host.known?.grantKeys ?? loggedIn.grantKeys ?? [];
    this.#takeKeys(loggedIn.grantKeys);
    this.#sender = new JournalSender(host.journal, loggedIn.journalReceived, (message) => control.send(message));
    this.#device = { id: device, name: loggedIn.name };
  }

  start(inbox: StreamInbox): void {
    this.#sender.start();
    inbox.open((stream) => this.#serve(stream));
  }

  stop(): void {
    this.#sender.stop();
  }

  /** Obeys the relay until the link is over. @throws TowlineError the relay's goodbye, or what it broke. */
  whenOver(over: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (over.aborted) return resolve();
      over.addEventListener('abort', () => resolve(), { once: true });
      void this.#control.closed.then((error) => reject(error ?? new TowlineError('protocol_error', 'The relay ended the control stream.')));
      const queue = createMessageQueue((message: RelayToDevice) => this.#obey(message), reject);
      this.#control.onMessage(queue);
    });
  }

  #obey(message: RelayToDevice): Promise<void> {
    const { sessions, log, storeApiKey } = this.#host;
    return obey(message, {
      sessions,
      log,
      send: (answer) => this.#control.send(answer),
      setRelayTime: (timeMs) => {
        this.#relayOffsetMs = timeMs - performance.now();
      },
      acknowledge: (received) => this.#sender.acknowledge(received),
      storeApiKey,
      grantKeys: this.#grantKeys,
      useGrantKeys: async (keys) => {
        this.#takeKeys(keys);
        if (keys !== null) await this.#host.saveGrantKeys(keys);
      },
    });
  }

  #takeKeys(keys: readonly GrantKeyRecord[] | null): void {
    this.#check.useKeys(keys ?? []);
    if (keys !== null) this.#grantKeys = keys;
    else
      this.#host.log.error(
        'the grant keys of the relay are not vouched for by any that this device holds, so every session is refused; ' +
          'run `towline runtime logout`, then `towline runtime run` with --email or --org, and have the device approved again',
      );
  }

  #serve(stream: ByteStream): void {
    const { handlers, sessions, journal, runAs, isRoot, log, clock } = this.#host;
    void serveStream(stream, this.#check, { device: this.#device, handlers, sessions, journal, runAs, isRoot, log, clock });
  }
}
