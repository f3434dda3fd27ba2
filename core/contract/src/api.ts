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
  /** Why `email` is null although the provider named an address; absent otherwise. */
  readonly email_note?: string;
  readonly admin: boolean;
  readonly provider: string;
  readonly scopes: readonly ScopeRoleView[];
  /** What the credential is limited to; null: nothing. */
  readonly streams: readonly string[] | null;
  readonly devices: readonly string[] | null;
  readonly key_id: string | null;
  readonly expires_at: string | null;
}

/** A scope with the role in it. */
export interface ScopeRoleView {
  readonly scope: string;
  readonly role: string;
}

/** Answer of POST /v1/auth/token, which makes a token of the credential that the request came with. */
export interface TokenView {
  readonly token: string;
  readonly expires_at: string;
}

/** A user. GET /v1/users, GET and PATCH (`{ "disabled": true }`) /v1/users/:id; platform admins only. */
export interface UserView {
  readonly id: string;
  readonly label: string;
  readonly email: string | null;
  readonly provider: string;
  readonly disabled: boolean;
  readonly disabled_at: string | null;
  readonly disabled_by: string | null;
  readonly created_at: string;
  readonly last_seen_at: string;
}

/** An organisation. GET, POST (`{ "id", "name"? }`) /v1/orgs; GET, DELETE (`?devices_to=SCOPE`) /v1/orgs/:id */
export interface OrgView {
  readonly id: string;
  readonly name: string;
  /** The role of whoever asks; null for a platform admin who holds none. */
  readonly role: string | null;
  readonly created_at: string;
  readonly created_by: string;
}

/** A member. GET /v1/orgs/:id/members; PUT (`{ "role" }`), DELETE /v1/orgs/:id/members/:email */
export interface MemberView {
  readonly email: string;
  readonly role: string;
  readonly added_at: string;
  readonly added_by: string;
}

/** A key. GET /v1/keys (`?all=true`: those of everybody the asker is admin of), GET, DELETE /v1/keys/:id */
export interface KeyView {
  readonly id: string;
  readonly kind: string;
  /** How its text begins: `twl_u_<id>`. */
  readonly prefix: string;
  readonly name: string;
  readonly owner: string;
  readonly email: string | null;
  readonly admin: boolean;
  readonly scopes: readonly ScopeRoleView[];
  readonly streams: readonly string[] | null;
  readonly devices: readonly string[] | null;
  readonly remaining: number | null;
  readonly state: 'valid' | 'expired' | 'revoked';
  readonly created_at: string;
  readonly created_by: string;
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
}

/** Body of POST /v1/keys. The new key never has more than the credential that it is made with. */
export interface KeyRequest {
  /** `user` by default; `enrolment` needs `owner`. */
  readonly kind?: 'user' | 'enrolment';
  readonly name?: string;
  /** Left out: all that the user holds, now and later. */
  readonly scopes?: readonly ScopeRoleView[];
  readonly streams?: readonly string[];
  /** Ids or names. */
  readonly devices?: readonly string[];
  /** RFC 3339. */
  readonly expires_at?: string;
  /** Of an enrolment key: whose devices they will be, and how many. */
  readonly owner?: string;
  readonly count?: number;
}

/** Answer of POST /v1/keys: the only moment in which the key is shown. */
export interface CreatedKeyView {
  readonly id: string;
  readonly key: string;
}

/**
 * A secret, without its value, which nobody is told. GET /v1/secrets (`?scope=`: of that one alone); PUT (`{ "value" }`),
 * DELETE /v1/secrets/:scope/:name
 */
export interface SecretView {
  readonly scope: string;
  readonly name: string;
  readonly created_at: string;
  readonly created_by: string;
  readonly updated_at: string;
  readonly updated_by: string;
}

/** Who may reach a device. GET /v1/devices/:id/access; PUT (`{ "role", "streams"?, "until"? }`), DELETE /v1/devices/:id/access/:scope */
export interface AccessView {
  readonly owner: string;
  readonly shares: readonly ShareView[];
}

/** A share of a device. */
export interface ShareView {
  readonly scope: string;
  readonly role: string;
  readonly streams: readonly string[] | null;
  readonly until: string | null;
  readonly shared_at: string;
  readonly shared_by: string;
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
  /** What whoever asks may do with it. */
  readonly role: string;
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
