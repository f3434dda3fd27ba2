import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TowlineError } from '@towline/protocol';
import { isUpgradeToken, UPGRADE_TOKEN } from './upgrade-token.ts';

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${UPGRADE_TOKEN}\r\n\r\n`;

/**
 * Completes the upgrade of a request that has been authenticated; bytes that came early are read first.
 * @throws TowlineError `protocol_error` for a request that does not ask for it, `link_lost` when the peer has gone.
 */
export async function acceptUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex> {
  checkRequest(request);
  // Stays for the socket's life: an error before the link listens must not end the process; the link sees the close.
  socket.on('error', () => undefined);
  if (socket instanceof Socket) prepareSocket(socket);
  if (head.length > 0) socket.unshift(head);
  await answer(socket);
  return socket;
}

function checkRequest({ method, httpVersion, headers }: IncomingMessage): void {
  const connection = (headers.connection ?? '').toLowerCase().split(/\s*,\s*/);
  if (method === 'GET' && httpVersion === '1.1' && connection.includes('upgrade') && isUpgradeToken(headers.upgrade)) return;
  throw new TowlineError('protocol_error', `The request does not ask for an upgrade to ${UPGRADE_TOKEN} as it should.`);
}

/** Links bring deadlines of their own; those of the HTTP server would end an idle one. */
function prepareSocket(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setTimeout(0);
  socket.removeAllListeners('timeout');
}

function answer(socket: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause?: unknown) => reject(new TowlineError('link_lost', 'The peer went away while its link was made.', { cause }));
    if (socket.destroyed || !socket.writable) return fail();
    socket.write(SWITCHING, (error) => (error ? fail(error) : resolve()));
  });
}
