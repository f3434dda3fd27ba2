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

/** Relay half of a transport: how a request to /v1/links/… becomes a duplex of link bytes. */
export interface RelayTransport {
  /** Token of the Upgrade header that this transport completes, as `towline/1` or `websocket`. */
  readonly upgradeToken?: string;
  /**
   * Completes the upgrade of a request that has been authenticated: answers 101 and returns the duplex
   * that carries the link. `head` are bytes that came early. @throws TowlineError `protocol_error`.
   */
  upgrade?(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex>;
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
