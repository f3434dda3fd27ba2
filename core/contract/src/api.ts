import type { GrantKeyRecord, JsonObject } from '@towline/protocol';

/**
 * JSON of the HTTP API as clients read it: snake_case, times as RFC 3339 text in UTC.
 * The relay's routes produce these; the command line and the runtime consume them.
 */

/** Answer of every list. */
export interface ListView<Item> {
  readonly items: readonly Item[];
  /** Cursor of the next page, or null after the last. */
  readonly next: string | null;
}

/** Body of every answer with a status of 400 or more. */
export interface ErrorView {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

/** GET /v1/me */
export interface MeView {
  readonly kind: 'user' | 'device' | 'enrolment';
  readonly id: string;
  readonly label: string;
  readonly email: string | null;
  readonly admin: boolean;
  readonly provider: string;
  readonly scopes: readonly { readonly scope: string; readonly role: string }[];
  readonly key_id: string | null;
  readonly expires_at: string | null;
}

/** What a device says about itself. */
export interface FactsView {
  readonly hostname: string;
  readonly platform: string;
  readonly arch: string;
  readonly version: string;
}

/** A device. GET /v1/devices/:id, where :id may be an id, a name, or an unambiguous prefix of an id. */
export interface DeviceView {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly fingerprint: string;
  readonly facts: FactsView;
  readonly online: boolean;
  /** Of the present link: transport, address, since when. */
  readonly link: {
    readonly transport: string;
    /** Why this transport and not a better one, in the words of the device; absent when it said nothing. */
    readonly transport_note?: string;
    readonly address: string;
    readonly since: string;
  } | null;
  readonly enrolled_at: string;
  readonly enrolled_by: string;
  readonly last_seen_at: string | null;
  readonly last_address: string | null;
  /** Kinds of streams the device said it serves when it last linked, as protocol names; empty when offline. */
  readonly serves: readonly string[];
}

/** Body of POST /v1/registrations. `signature` is by the device's key over registrationText() of the protocol. */
export interface RegistrationRequest {
  readonly device_id: string;
  /** Raw Ed25519 public key, base64url. */
  readonly public_key: string;
  readonly name: string;
  /** `user:<email>` or `org:<id>`; left out with an enrolment key, which names it. */
  readonly owner?: string;
  readonly facts: FactsView;
  readonly signature: string;
}

/** A request to enrol. GET /v1/registrations lists pending ones; POST answers with one. */
export interface RegistrationView {
  readonly id: string;
  readonly device_id: string;
  readonly name: string;
  readonly owner: string;
  readonly fingerprint: string;
  readonly facts: FactsView;
  readonly address: string;
  readonly state: 'pending' | 'approved' | 'rejected';
  readonly created_at: string;
  readonly expires_at: string;
  /** Id of the relay, for the text that a claim signs. */
  readonly relay: string;
}

/** Body of POST /v1/registrations/:id/claim. `signature` is by the device's key over claimText() of the protocol. */
export interface ClaimRequest {
  readonly device_id: string;
  readonly signature: string;
}

/** Answer of a claim. A rejected or expired request is an error instead. */
export type ClaimView =
  | { readonly state: 'pending' /** Ask again after so many milliseconds. */; readonly poll_ms: number }
  | {
      readonly state: 'approved';
      readonly api_key: string;
      readonly device: { readonly id: string; readonly name: string };
      readonly relay: string;
      readonly grant_keys: readonly GrantKeyRecord[];
    };

/** An open session. GET /v1/devices/:id/sessions */
export interface SessionView {
  readonly id: string;
  readonly device: { readonly id: string; readonly name: string };
  readonly protocol: string;
  readonly actor: { readonly id: string; readonly label: string };
  /** Null, like `detail`, unless it is one's own session or one is admin of the device. */
  readonly address: string | null;
  readonly opened_at: string;
  readonly detail: JsonObject | null;
}

/** One record of the trail. GET /v1/audit */
export interface AuditView {
  readonly number: number;
  readonly at: string;
  readonly action: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly actor: { readonly kind: string; readonly id: string; readonly label: string; readonly email: string | null };
  readonly address: string | null;
  readonly device: { readonly id: string; readonly name: string } | null;
  readonly session: string | null;
  readonly protocol: string | null;
  readonly duration_ms: number | null;
  readonly bytes_to_device: number | null;
  readonly bytes_from_device: number | null;
  readonly exit_code: number | null;
  readonly signal: string | null;
  readonly reported_by: string | null;
  readonly detail: JsonObject | null;
}
