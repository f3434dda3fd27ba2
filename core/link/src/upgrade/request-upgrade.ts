import * as http from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { DialRequest } from '@towline/contract';
import { notTowline } from '../relay-answer.ts';
import { explainRequestFault } from '../request-fault.ts';
import { cancellation } from '../trust/deadline.ts';
import { readRefusal } from './read-refusal.ts';
import { isUpgradeToken, UPGRADE_TOKEN } from './upgrade-token.ts';

/** What an upgrade is asked for with. */
export type UpgradeRequest = Pick<DialRequest, 'relay' | 'role' | 'credential'>;

/**
 * Asks for the upgrade on a connection that was verified; resolves with that connection once it carries link bytes.
 * The connection is destroyed on every other way out. @throws TowlineError what the relay refused with, see
 * `retryAfterMs` of @towline/link; `relay_unreachable`, `relay_not_towline`, `unauthenticated`, or the signal's reason.
 */
export async function requestUpgrade<Connection extends Duplex>(
  socket: Connection,
  request: UpgradeRequest,
  signal: AbortSignal,
): Promise<Connection> {
  try {
    return await exchange(socket, request, signal);
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? cancellation(signal) : explainRequestFault(error, request.relay);
  }
}

function exchange<Connection extends Duplex>(
  socket: Connection,
  { relay, role, credential }: UpgradeRequest,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const headers = { Connection: 'Upgrade', Upgrade: UPGRADE_TOKEN, [credential.header]: credential.value };
  return new Promise((resolve, reject) => {
    const outgoing = http.request({
      createConnection: () => socket,
      path: `/v1/links/${role}`,
      // Named here, for over TLS the default port is another than node:http believes.
      headers: { Host: relay.host, ...headers },
    });
    const onAbort = () => outgoing.destroy(cancellation(signal));
    const settle = () => signal.removeEventListener('abort', onAbort);
    const refuse = (error: unknown) => {
      settle();
      reject(error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.on('error', refuse);
    outgoing.on('response', (response) => readRefusal(response, `switch to ${UPGRADE_TOKEN}`).then(refuse, refuse));
    outgoing.on('upgrade', (response, _socket, head) => {
      if (!isUpgradeToken(response.headers.upgrade)) return refuse(notTowline('an upgrade to something else'));
      settle();
      resolve(prepareSocket(socket, head));
    });
    outgoing.end();
  });
}

function prepareSocket<Connection extends Duplex>(socket: Connection, head: Buffer): Connection {
  if (head.length > 0) socket.unshift(head);
  if (socket instanceof Socket) {
    socket.setNoDelay(true);
    socket.setTimeout(0);
  }
  return socket;
}
