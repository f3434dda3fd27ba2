import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Log, type PeerAddress, type RelayTransport, TowlineError, toTowlineError } from '@towline/contract';
import { CreditBudget, createLink } from '@towline/link';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AcceptedLink } from '../links/serve-device.ts';
import { endAtExpiry } from './end-at-expiry.ts';
import { type HttpServer, principalOf, STRANGER_DEADLINE_MS } from './server.ts';

/** Bytes by which the receive windows of all links together may have grown. */
const MAX_GROWTH_BYTES = 268_435_456;

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
  /** Takes the deadline of strangers off the socket. */
  admitted(): void;
}

/**
 * Lets requests that ask for an upgrade pass through the same hooks as all others: credential, kind, errors.
 * What is refused is answered as any request, and the connection closed.
 */
export function linkUpgrades(app: HttpServer, parts: UpgradeParts): void {
  const sharedGrowth = new CreditBudget(MAX_GROWTH_BYTES);
  const upgrades = parts.transports.flatMap(({ transport }) => transport.upgrades ?? []);
  const pending = new WeakMap<IncomingMessage, PendingUpgrade>();
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    // The server's timeouts do not reach a socket that asks for an upgrade.
    const deadline = setTimeout(() => socket.destroy(), STRANGER_DEADLINE_MS);
    socket.once('close', () => clearTimeout(deadline));
    pending.set(request, { socket, head, admitted: () => clearTimeout(deadline) });
    app.routing(request, refusableResponse(request, socket));
  });

  const accept = async (request: FastifyRequest, reply: FastifyReply, serve: UpgradeParts['serveDevice']) => {
    const upgrade = pending.get(request.raw);
    const token = request.headers.upgrade?.toLowerCase();
    const chosen = upgrades.find((each) => each.token === token);
    if (upgrade === undefined || chosen === undefined) {
      throw new TowlineError('protocol_error', 'This path is for links only.', { hint: 'Links ask for `Upgrade: towline/1`.' });
    }
    refuseForeignOrigin(request);
    const principal = principalOf(request);
    upgrade.admitted();
    reply.hijack();
    reply.raw.detachSocket(upgrade.socket as never);
    try {
      const duplex = await chosen.complete(request.raw, upgrade.socket, upgrade.head);
      // Towards a device the relay opens streams; from a client it accepts them.
      const link = createLink(duplex, { role: principal.kind === 'device' ? 'opener' : 'acceptor', sharedGrowth });
      endAtExpiry(link, principal);
      // Not awaited: the request ends here, the link goes on by itself. Serving never rejects.
      void serve({ link, principal, peer: peerOf(request), transport: chosen.transport });
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
    if (response.socket === (socket as unknown)) socket.end(() => socket.destroy());
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
