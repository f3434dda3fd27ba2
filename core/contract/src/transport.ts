import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Link } from './link.ts';

/** Where a peer connects from. */
export interface PeerAddress {
  /** IP address by which limits and records go. */
  readonly address: string;
  /** Address of the last hop when a trusted proxy stands before it. */
  readonly proxy?: string;
}

/** One way in which a request on /v1/links/… becomes a duplex of link bytes. */
export interface LinkUpgrade {
  /** Name of the transport, as records and people see it: `tls`, `websocket`, `quic`. */
  readonly transport: string;
  /** Token of the Upgrade header, lower case, as `towline/1` or `websocket`. */
  readonly token: string;
  /**
   * Completes the upgrade of a request that has been authenticated: answers 101 and returns the duplex
   * that carries the link. `head` are bytes that came early. @throws TowlineError `protocol_error`.
   */
  complete(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex>;
}

/** Certificate chain (leaf first) and key of the relay, PEM. */
export interface RelayCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What the kernel hands to a transport that listens by itself. */
export interface RelayDoor {
  /** Address the HTTP edge is bound to, as configured: `0.0.0.0`, `::` or one address. */
  readonly host: string;
  /** TCP port the HTTP edge has; a listener for UDP takes the same number. */
  readonly port: number;
  /** Null without TLS (`server.tls.enabled: false`, loopback only): a listener that needs one is `unavailable` then. */
  readonly certificate: RelayCertificate | null;
  /**
   * Takes a connection on which one HTTP/1.1 request for /v1/links/… follows; bytes that were read ahead are put back by
   * `unshift`. The request passes through the same hooks as any other, as made by `peer`, whatever it says to be forwarded for;
   * whatever `Upgrade` it asks for is completed by `upgrade`. Anything else is refused. The door owns the connection from here on,
   * and ends it unless it carries a link within the deadline of strangers.
   */
  accept(connection: Duplex, peer: PeerAddress, upgrade: LinkUpgrade): void;
}

/** How a transport's own listener is. */
export interface ListenerState {
  /** `down`: not now, and it is being mended. `unavailable`: not on this machine or with this config. */
  readonly status: 'up' | 'down' | 'unavailable';
  /** Why, in one sentence, unless it is up. Anybody can read it at /readyz. */
  readonly detail?: string;
  /** Figures for the metrics by name, as `restarts_total` or `connections`: counters end in `_total`. */
  readonly figures: Readonly<Record<string, number>>;
}

/** A transport's own listener. It closes when it is disposed, which is after its links have taken leave. */
export interface TransportListener extends AsyncDisposable {
  readonly state: ListenerState;
  /** Connections from here on get this certificate; those that stand go on. */
  renewCertificate(certificate: RelayCertificate): void;
}

/** Relay half of a transport. It brings upgrades for the HTTP edge, a listener of its own, or both. */
export interface RelayTransport {
  /** Upgrades that anybody may ask for on the TCP port. */
  readonly upgrades?: readonly LinkUpgrade[];
  /**
   * Opens the transport's own listener; called after the HTTP edge listens. Resolves also where this machine cannot
   * have it: the state says so then. @throws TowlineError what must stop the start.
   */
  listen?(door: RelayDoor): Promise<TransportListener>;
}

/** What is believed when a relay is dialled: the pinned key alone where there is one, else the system's roots and `ca`. */
export interface TrustSettings {
  /** `sha256:<hex>` of the public key (SPKI) of the relay's CA. */
  readonly fingerprint?: string;
  /** PEM text of additional roots. */
  readonly ca?: string;
  /** Development only (TOWLINE_TRUST_INVALID_CERT). */
  readonly trustInvalid?: boolean;
}

/** How a relay is dialled. */
export interface DialRequest {
  /** `https://HOST[:PORT]` of the relay. */
  readonly relay: URL;
  readonly role: 'device' | 'client';
  /** Sent only after the certificate was verified. */
  readonly credential: { readonly header: 'X-API-Key' | 'Authorization'; readonly value: string };
  readonly trust: TrustSettings;
  readonly signal: AbortSignal;
}

/** Dialling half of a transport. */
export interface DialTransport {
  readonly name: string;
  /** @throws TowlineError `relay_unreachable`, `relay_untrusted`, `relay_not_towline`, or what the relay answered. */
  dial(request: DialRequest): Promise<Link>;
}
