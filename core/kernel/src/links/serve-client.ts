import type { IncomingHttpHeaders } from 'node:http';
import { type ByteStream, type Clock, type Log, TowlineError, toTowlineError } from '@towline/contract';
import { type ControlChannel, createControlChannel, watchLiveness } from '@towline/link';
import {
  AUTHENTICATION_DEADLINE_MS,
  type ClientToRelay,
  CONTROL_PROTOCOL,
  clientToRelay,
  decodeJson,
  defined,
  MAX_OPEN_MESSAGE,
  PROTOCOL_LEVEL,
  type RelayToClient,
  relayToClient,
} from '@towline/protocol';
import type { Identity } from '../access/authenticate.ts';
import type { ClientLink, ClientRegistry } from './clients.ts';
import { endWithControl } from './end-with-control.ts';
import { createRenewal } from './renewal.ts';
import type { AcceptedLink } from './serve-device.ts';

/** What serving clients works with. */
export interface ClientServing {
  readonly clients: ClientRegistry;
  /** Whether the credential that the link came with still stands. @throws TowlineError when not. */
  readonly recheck: (accepted: AcceptedLink) => Promise<void>;
  /** Judges a credential that came over a link, as one in the headers of a request. @throws TowlineError as the chain does. */
  readonly authenticate: (headers: IncomingHttpHeaders, accepted: AcceptedLink) => Promise<Identity>;
  /** Judges anew the sessions of a link after its credential was renewed. */
  readonly afterRenewal: (accepted: AcceptedLink) => Promise<void>;
  /** Serves a stream that is not the control stream. */
  readonly serveStream: (stream: ByteStream, accepted: AcceptedLink) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

type ClientControl = ControlChannel<RelayToClient, ClientToRelay>;

/** Serves a client's link until it is over. Never rejects. */
export async function serveClient(parts: ClientServing, accepted: AcceptedLink): Promise<void> {
  const { link, credential, peer, transport } = accepted;
  const control = createDeferred<ClientControl>();
  const clientLink: ClientLink = {
    credential,
    link,
    transport,
    address: peer.address,
    async dismiss(code, message) {
      await sayGoodbye(control.promise, new TowlineError(code, message));
      await link.close(code, message);
    },
  };
  parts.clients.add(clientLink);
  try {
    const taking: Taking = { accepted, control, controlOpened: false };
    link.onStream((stream) => takeStream(parts, taking, stream));
    await parts.recheck(accepted);
    const channel = await withDeadline(control.promise);
    endWithControl(link, channel);
    const renew = createRenewal(parts, accepted, { channel, dismiss: clientLink.dismiss });
    channel.onMessage((message) => {
      if (message.type === 'credential') renew(message);
    });
    const stop = watchLiveness(link, channel);
    await link.closed;
    stop();
  } catch (thrown) {
    const error = toTowlineError(thrown);
    parts.log.warn('a client was not served', {
      principal: credential.claimed.label,
      address: peer.address,
      code: error.code,
      detail: error.detail,
    });
    await clientLink.dismiss(error.code, error.message);
  } finally {
    parts.clients.delete(clientLink);
  }
}

interface Deferred<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

interface Taking {
  readonly accepted: AcceptedLink;
  readonly control: Deferred<ClientControl>;
  controlOpened: boolean;
}

/** Promise.withResolvers, which Node 20 lacks; a rejection that nobody waits for is no fault. */
function createDeferred<Value>(): Deferred<Value> {
  let settle!: Pick<Deferred<Value>, 'resolve' | 'reject'>;
  const promise = new Promise<Value>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return { promise, ...settle };
}

function takeStream(parts: ClientServing, taking: Taking, stream: ByteStream): void {
  const { accepted, control, controlOpened } = taking;
  stream.on('error', () => {});
  if (!isControl(stream)) {
    parts.serveStream(stream, accepted).catch((error: unknown) => parts.log.error('a stream could not be served', { error }));
    return;
  }
  if (controlOpened) return void stream.destroy(new TowlineError('protocol_error', 'The client opened a second control stream.'));
  taking.controlOpened = true;
  const channel = createControlChannel<RelayToClient, ClientToRelay>(stream, { encode: relayToClient, decode: clientToRelay });
  channel
    .next(AbortSignal.timeout(AUTHENTICATION_DEADLINE_MS))
    .then((hello) => {
      if (hello.type !== 'hello') throw new TowlineError('protocol_error', 'The client sent something else than its hello.');
      const { claimed } = accepted.credential;
      channel.send({
        type: 'welcome',
        level: PROTOCOL_LEVEL,
        time_ms: parts.clock.now(),
        principal: claimed.label.slice(0, 320),
        ...defined({ expires_at_ms: claimed.expiresAt }),
      });
      control.resolve(channel);
    })
    .catch((error: unknown) => control.reject(error));
}

function isControl(stream: ByteStream): boolean {
  try {
    const head = decodeJson(stream.head, MAX_OPEN_MESSAGE) as { readonly protocol?: unknown } | null;
    return head?.protocol === CONTROL_PROTOCOL;
  } catch {
    return false;
  }
}

async function withDeadline(control: Promise<ClientControl>): Promise<ClientControl> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TowlineError('timeout', 'The client opened no control stream.')), AUTHENTICATION_DEADLINE_MS);
  });
  return Promise.race([control, late]).finally(() => clearTimeout(timer));
}

async function sayGoodbye(control: Promise<ClientControl>, error: TowlineError): Promise<void> {
  // Only where a control stream stands already: a link is not kept open to wait for one.
  const channel = await Promise.race([control, Promise.resolve(null)]).catch(() => null);
  channel?.send({ type: 'goodbye', ...error.toPublic() });
}
