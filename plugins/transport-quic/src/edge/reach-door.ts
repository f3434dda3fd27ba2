import { connect, type Socket } from 'node:net';
import { cancellation, requestUpgrade, type UpgradeRequest } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { encodePreface } from './preface.ts';

/** Where the relay's private socket is, and what opens it. */
export interface Door {
  readonly path: string;
  readonly secret: string;
}

/** Whom the request is made for. */
export interface DoorRequest extends Pick<UpgradeRequest, 'role' | 'credential'> {
  /** IP address of the dialler. */
  readonly address: string;
}

/** Names the relay in the Host header; the private socket has no name. */
const RELAY = new URL('https://relay.invalid');

/**
 * Makes a dialler's request at the relay; resolves with the socket once it carries link bytes.
 * @throws TowlineError what the relay refused with; `unavailable` when it does not answer; the signal's reason.
 */
export async function reachDoor(door: Door, request: DoorRequest, signal: AbortSignal): Promise<Socket> {
  const socket = await open(door.path, signal);
  socket.write(encodePreface({ secret: door.secret, address: request.address }));
  try {
    return await requestUpgrade(socket, { relay: RELAY, role: request.role, credential: request.credential }, signal);
  } catch (error) {
    throw asRefusal(error);
  }
}

function open(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancellation(signal));
    const socket = connect({ path });
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const onAbort = () => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(cancellation(signal));
    };
    const onError = (cause: Error) => {
      settle();
      reject(asRefusal(cause));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      settle();
      // Whoever takes the socket on sees its close; until then an error must not end the process.
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** What the dialler is told: the relay's own words, but not how edge and relay are connected. */
function asRefusal(error: unknown): TowlineError {
  const inner: ReadonlySet<string> = new Set(['relay_unreachable', 'relay_not_towline']);
  if (error instanceof TowlineError && !inner.has(error.code)) return error;
  return new TowlineError('unavailable', 'The relay does not answer its QUIC edge.', { cause: error });
}
