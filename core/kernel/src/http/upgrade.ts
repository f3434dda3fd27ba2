import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Log, type PeerAddress, type RelayTransport, TowlineError, toTowlineError } from '@towline/contract';
import { createLink } from '@towline/link';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AcceptedLink } from '../links/serve-device.ts';
import { type HttpServer, principalOf } from './server.ts';

/** What link upgrades work with. */
export interface UpgradeParts {
  readonly transports: readonly { readonly name: string; readonly transport: RelayTransport }[];
  readonly serveDevice: (accepted: AcceptedLink) => Promise<void>;
  readonly serveClient: (accepted: AcceptedLink) => Promise<void>;
  readonly log: Log;
}

interface PendingUpgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/**
 * Lets requests that ask for an upgrade pass through the same hooks as all others: credential, kind, errors.
 * What is refused is answered as any request, and the connection closed.
 */
export function linkUpgrades(app: HttpServer, parts: UpgradeParts): void {
  const pending = new WeakMap<IncomingMessage, PendingUpgrade>();
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    pending.set(request, { socket, head });
    app.routing(request, refusableResponse(request, socket));
  });

  const accept = async (request: FastifyRequest, reply: FastifyReply, serve: UpgradeParts['serveDevice']) => {
    const upgrade = pending.get(request.raw);
    const token = request.headers.upgrade?.toLowerCase();
    const chosen = parts.transports.find(({ transport }) => transport.upgrade !== undefined && transport.upgradeToken === token);
    if (upgrade === undefined || chosen?.transport.upgrade === undefined) {
      throw new TowlineError('protocol_error', 'This path is for links only.', { hint: 'Links ask for `Upgrade: towline/1`.' });
    }
    refuseForeignOrigin(request);
    const principal = principalOf(request);
    reply.hijack();
    reply.raw.detachSocket(upgrade.socket as never);
    try {
      const duplex = await chosen.transport.upgrade(request.raw, upgrade.socket, upgrade.head);
      // Towards a device the relay opens streams; from a client it accepts them.
      const link = createLink(duplex, { role: principal.kind === 'device' ? 'opener' : 'acceptor' });
      // Not awaited: the request ends here, the link goes on by itself. Serving never rejects.
      void serve({ link, principal, peer: peerOf(request), transport: chosen.name });
    } catch (error) {
      parts.log.warn('an upgrade failed', { address: request.ip, error: toTowlineError(error) });
      upgrade.socket.destroy();
    }
    return reply;
  };

  app.get('/v1/links/device', { config: { access: 'device' } }, (request, reply) => accept(request, reply, parts.serveDevice));
  app.get('/v1/links/client', { config: { access: 'user' } }, (request, reply) => accept(request, reply, parts.serveClient));
}

/** A response on the raw socket, so that a refusal can be written; the connection ends with it. */
function refusableResponse(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request);
  response.assignSocket(socket as never);
  response.shouldKeepAlive = false;
  response.on('finish', () => {
    if (response.socket === (socket as unknown)) socket.end();
  });
  return response;
}

/** Browsers send Origin: a page of another site must not open links with what the browser knows. */
function refuseForeignOrigin(request: FastifyRequest): void {
  const { origin } = request.headers;
  if (origin === undefined) return;
  const host = URL.canParse(origin) ? new URL(origin).host : null;
  if (host !== request.host) throw new TowlineError('forbidden', 'Links are not opened on behalf of a page of another site.');
}

function peerOf(request: FastifyRequest): PeerAddress {
  const hop = request.socket.remoteAddress;
  return hop === undefined || hop === request.ip ? { address: request.ip } : { address: request.ip, proxy: hop };
}
