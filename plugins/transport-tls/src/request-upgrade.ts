import type { IncomingMessage } from 'node:http';
import * as https from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { DialRequest, TowlineError } from '@towline/contract';
import { cancellation, decodeRefusal, explainRequestFault, notTowline, readAnswer } from '@towline/link';
import { isUpgradeToken, UPGRADE_TOKEN } from './upgrade-token.ts';

/** Largest refusal that is read, bytes: an error is one sentence and a hint. */
const MAX_REFUSAL_BYTES = 65_536;

/**
 * Asks for the upgrade on a connection that was verified; resolves with that connection once it carries link bytes.
 * The connection is destroyed on every other way out. @throws TowlineError what the relay refused with, see
 * `retryAfterMs` of @towline/link; `relay_unreachable`, `relay_not_towline`, `unauthenticated`, or the signal's reason.
 */
export async function requestUpgrade(socket: TLSSocket, request: DialRequest, signal: AbortSignal): Promise<TLSSocket> {
  try {
    return await exchange(socket, request, signal);
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? cancellation(signal) : explainRequestFault(error, request.relay);
  }
}

function exchange(socket: TLSSocket, { relay, role, credential }: DialRequest, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted();
  const headers = { Connection: 'Upgrade', Upgrade: UPGRADE_TOKEN, [credential.header]: credential.value };
  return new Promise((resolve, reject) => {
    const url = new URL(`/v1/links/${role}`, relay);
    const outgoing = https.request(url, { createConnection: () => socket, headers });
    const onAbort = () => outgoing.destroy(cancellation(signal));
    const settle = () => signal.removeEventListener('abort', onAbort);
    const refuse = (error: unknown) => {
      settle();
      reject(error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.on('error', refuse);
    outgoing.on('response', (response) => readRefusal(response).then(refuse, refuse));
    outgoing.on('upgrade', (response, _socket, head) => {
      if (!isUpgradeToken(response.headers.upgrade)) return refuse(notTowline('an upgrade to something else'));
      settle();
      resolve(prepareSocket(socket, head));
    });
    outgoing.end();
  });
}

/** The error in an answer other than 101. */
async function readRefusal(response: IncomingMessage): Promise<TowlineError> {
  const answer = await readAnswer(response, MAX_REFUSAL_BYTES);
  if (answer.status >= 400) return decodeRefusal(answer);
  return notTowline(`status ${answer.status} where it should switch to ${UPGRADE_TOKEN}`);
}

function prepareSocket(socket: TLSSocket, head: Buffer): TLSSocket {
  if (head.length > 0) socket.unshift(head);
  socket.setNoDelay(true);
  socket.setTimeout(0);
  return socket;
}
