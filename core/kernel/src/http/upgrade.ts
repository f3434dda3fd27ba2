import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type Link,
  type LinkUpgrade,
  type Log,
  type PeerAddress,
  type Principal,
  type RelayTransport,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { CreditBudget, createLink } from '@towline/link';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createLinkCredential } from '../links/link-credential.ts';
import type { AcceptedLink } from '../links/serve-device.ts';
import { endAtExpiry } from './end-at-expiry.ts';
import { claimedOf, type HttpServer, STRANGER_DEADLINE_MS } from './server.ts';

/** Bytes by which the receive windows of all links together may have grown. */
const MAX_GROWTH_BYTES = 268_435_456;

/** Links that one principal may have at a time. A device has two at most, and some that have not proved themselves or are about to end. */
const MAX_LINKS = Object.freeze({ user: 1_000, device: 32 });

/** What link upgrades work with. */
export interface UpgradeParts {
  readonly transports: readonly { readonly name: string; readonly transport: RelayTransport }[];
  readonly serveDevice: (accepted: AcceptedLink) => Promise<void>;
  readonly serveClient: (accepted: AcceptedLink) => Promise<void>;
  /** False while the relay drains: no link is made then. */
  readonly serving: () => boolean;
  readonly log: Log;
}

/** A request that asks for an upgrade. */
export interface UpgradeArrival {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** Bytes that came early. */
  readonly head: Buffer;
  /** What a transport's own listener said of the connection; absent on the port of the API. */
  readonly made?: { readonly peer: PeerAddress; readonly upgrade: LinkUpgrade };
}

/** Where requests for links come in, whatever they came by. */
export interface LinkEntrance {
  /** Takes a request through the same hooks as all others: credential, kind, errors. What is refused is answered, and the connection closed. */
  take(arrival: UpgradeArrival): void;
  /** Ends every link there is, also those that no registry knows yet. */
  closeLinks(error: TowlineError): Promise<void>;
}

interface PendingUpgrade extends UpgradeArrival {
  /** Ends the connection of whoever does not become a link in time. */
  readonly deadline: NodeJS.Timeout;
}

/** Serves the two paths of links, and upgrades on the port of the API. */
export function linkUpgrades(app: HttpServer, parts: UpgradeParts): LinkEntrance {
  const sharedGrowth = new CreditBudget(MAX_GROWTH_BYTES);
  const upgrades = parts.transports.flatMap(({ transport }) => transport.upgrades ?? []);
  const pending = new WeakMap<IncomingMessage, PendingUpgrade>();
  const links = new Set<Link>();
  const linksOf = new Map<string, number>();
  const take = (arrival: UpgradeArrival) => {
    const { request, socket } = arrival;
    socket.on('error', () => socket.destroy());
    const response = refusableResponse(request, socket);
    if (response === null) return void socket.destroy();
    // The server's timeouts do not reach a socket that asks for an upgrade.
    const deadline = setTimeout(() => socket.destroy(), STRANGER_DEADLINE_MS);
    socket.once('close', () => clearTimeout(deadline));
    pending.set(request, { ...arrival, deadline });
    app.routing(request, response);
  };
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => take({ request, socket, head }));

  const accept = async (request: FastifyRequest, reply: FastifyReply, serve: UpgradeParts['serveDevice']) => {
    const arrival = pending.get(request.raw);
    const chosen = arrival && upgradeOf(arrival, upgrades);
    if (arrival === undefined || chosen === undefined) throw notForRequests();
    requireServing(parts);
    refuseForeignOrigin(request);
    const principal = claimedOf(request);
    // Whoever hung up while its credential was judged has told so already, and would be counted for ever.
    if (arrival.socket.destroyed) {
      noteGone(parts, request);
      return reply.hijack();
    }
    takeLinkOf(linksOf, principal);
    arrival.socket.once('close', () => giveLinkOf(linksOf, principal));
    reply.hijack();
    reply.raw.detachSocket(arrival.socket as never);
    // The credential was judged; completing the upgrade has as much time again.
    arrival.deadline.refresh();
    try {
      const duplex = await chosen.complete(request.raw, arrival.socket, arrival.head);
      clearTimeout(arrival.deadline);
      // Towards a device the relay opens streams; from a client it accepts them.
      const link = createLink(duplex, { role: principal.kind === 'device' ? 'opener' : 'acceptor', sharedGrowth });
      keepUntilClosed(links, link);
      // In the meantime the relay may have begun to take leave of its links.
      if (!parts.serving()) void link.close('unavailable', STOPPING);
      const credential = createLinkCredential(principal);
      endAtExpiry(link, credential);
      // Not awaited: the request ends here, the link goes on by itself. Serving never rejects.
      void serve({ link, credential, peer: arrival.made?.peer ?? peerOf(request), transport: chosen.transport });
    } catch (error) {
      const fault = toTowlineError(error);
      if (fault.code === 'link_lost') noteGone(parts, request);
      else parts.log.warn('an upgrade failed', { address: request.ip, error: fault });
      arrival.socket.destroy();
    }
    return reply;
  };

  app.get('/v1/links/device', { config: { access: 'device' } }, (request, reply) => accept(request, reply, parts.serveDevice));
  app.get('/v1/links/client', { config: { access: 'user' } }, (request, reply) => accept(request, reply, parts.serveClient));
  return {
    take,
    async closeLinks({ code, message }) {
      await Promise.all([...links].map((link) => link.close(code, message)));
    },
  };
}

const STOPPING = 'The relay is stopping.';

/** The refusal of a request on a path of links that asks for no upgrade there is. */
export function notForRequests(): TowlineError {
  return new TowlineError('protocol_error', 'This path is for links only.', { hint: 'Links ask for `Upgrade: towline/1`.' });
}

/** A listener's own upgrade, whatever is asked for; on the port of the API the one that is asked for by its token. */
function upgradeOf({ request, made }: UpgradeArrival, upgrades: readonly LinkUpgrade[]): LinkUpgrade | undefined {
  if (made !== undefined) return made.upgrade;
  const token = request.headers.upgrade?.toLowerCase();
  return upgrades.find((each) => each.token === token);
}

/** No fault of anything: a dialler gives the slower of two ways up at any moment. */
function noteGone({ log }: UpgradeParts, { ip }: FastifyRequest): void {
  log.info('a peer went away while its link was made', { address: ip });
}

function requireServing({ serving }: UpgradeParts): void {
  if (!serving()) throw new TowlineError('unavailable', STOPPING);
}

/** Counts a link of a principal, until {@link giveLinkOf}. @throws TowlineError `rate_limited`: nobody takes all the places there are. */
function takeLinkOf(linksOf: Map<string, number>, { id, kind }: Principal): void {
  const count = linksOf.get(id) ?? 0;
  if (count >= (kind === 'device' ? MAX_LINKS.device : MAX_LINKS.user))
    throw new TowlineError('rate_limited', `You have ${count} connections, and more are not possible.`);
  linksOf.set(id, count + 1);
}

function giveLinkOf(linksOf: Map<string, number>, { id }: Principal): void {
  const left = (linksOf.get(id) ?? 1) - 1;
  if (left === 0) linksOf.delete(id);
  else linksOf.set(id, left);
}

function keepUntilClosed(links: Set<Link>, link: Link): void {
  links.add(link);
  void link.closed.then(() => links.delete(link));
}

/**
 * A response on the raw socket, so that a refusal can be written; the connection ends with it. Null when an answer to
 * an earlier request is still to be written there: nothing asks for a link behind another request.
 */
export function refusableResponse(request: IncomingMessage, socket: Duplex): ServerResponse | null {
  const response = new ServerResponse(request);
  try {
    response.assignSocket(socket as never);
  } catch {
    return null;
  }
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
