import type { DeviceId, JsonObject, KeyId, OrgId, RegistrationId, Scope, SessionId } from '@towline/protocol';

/** Unix time in milliseconds. */
export type UnixMs = number;

/** What somebody may do with the devices of a scope: see, open streams, or also approve, share and manage. */
export type Role = 'viewer' | 'operator' | 'admin';
/** Roles from weakest to strongest; each includes those before it. */
export const ROLES: readonly Role[] = Object.freeze(['viewer', 'operator', 'admin']);

/** Whether `held` includes `needed`. */
export function roleIncludes(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}

/** A scope somebody holds, with the role they hold it in. */
export interface ScopeRole {
  readonly scope: Scope;
  readonly role: Role;
}

/** Who is acting, whatever credential proved it. The one type that authorisation looks at. */
export interface Principal {
  readonly kind: 'user' | 'device' | 'enrolment';
  /** Stable id: `issuer|subject` of a user, `device:<id>`, `enrolment:<key id>`. */
  readonly id: string;
  /** For logs and people: e-mail address, device name or key name. */
  readonly label: string;
  /** Present only when the provider vouches for it. Normalised. */
  readonly email?: string;
  /** Why there is no e-mail address although the provider named one, for people. */
  readonly emailNote?: string;
  /**
   * As a provider gives them: those that the credential itself carries. The kernel adds a user's own scope and
   * memberships, and takes away those of organisations that are no more.
   */
  readonly scopes: readonly ScopeRole[];
  /** The scopes are a bound: of them the kernel leaves what the user holds by himself at that moment. */
  readonly bounded?: boolean;
  /** The credential was made from another one, as a token for an API key: it is no login of its own. */
  readonly derived?: boolean;
  /** Platform admin: everything, everywhere. */
  readonly admin: boolean;
  /** Name of the auth plugin that accepted the credential. */
  readonly provider: string;
  readonly keyId?: KeyId;
  /** The device that a device key belongs to. */
  readonly deviceId?: DeviceId;
  /** Stream names the credential is limited to; absent: all. */
  readonly streams?: readonly string[];
  /** Devices the credential is limited to; absent: all. */
  readonly devices?: readonly DeviceId[];
  readonly expiresAt?: UnixMs;
}

/** A person or program that has logged in, by whatever provider. The same person at two providers is two users. */
export interface User {
  /** `issuer|subject`, as in {@link Principal.id}. */
  readonly id: string;
  readonly label: string;
  /** Vouched for by the provider at the last login. Normalised. */
  readonly email?: string;
  readonly provider: string;
  /** What the credential of the last login carried by itself, without own scope and memberships. */
  readonly claims: readonly ScopeRole[];
  readonly createdAt: UnixMs;
  readonly lastSeenAt: UnixMs;
  readonly disabledAt?: UnixMs;
  readonly disabledBy?: string;
  readonly revision: number;
}

/** An organisation: what devices belong to that are not a single person's. */
export interface Organisation {
  readonly id: OrgId;
  /** For people. */
  readonly name: string;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  /** Kept for ever when it is deleted, so that nobody takes its id and with it what still names it. */
  readonly deletedAt?: UnixMs;
  readonly revision: number;
}

/** What makes somebody hold the scope of an organisation: whoever proves this address. */
export interface Membership {
  readonly org: OrgId;
  /** Normalised. */
  readonly email: string;
  readonly role: Role;
  readonly addedAt: UnixMs;
  readonly addedBy: string;
}

/** Access to one device for the holders of another scope than its owner's. */
export interface Share {
  readonly scope: Scope;
  /** Nobody has more by it than the role in which the scope is held. */
  readonly role: Role;
  /** Stream names it is limited to; absent: all. */
  readonly streams?: readonly string[];
  /** When it ends; absent: not by itself. */
  readonly until?: UnixMs;
  readonly sharedAt: UnixMs;
  readonly sharedBy: string;
}
/** Shares of one device; more are refused. */
export const MAX_SHARES = 100;

/** A value that sessions get by its name. One name stands once in a scope. */
export interface Secret {
  readonly scope: Scope;
  /** Name of an environment variable. */
  readonly name: string;
  /** Id of the key that `sealed` is encrypted with. */
  readonly keyId: string;
  /** The value, encrypted; the store never sees it in the clear. */
  readonly sealed: string;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly updatedAt: UnixMs;
  readonly updatedBy: string;
  /** Grows by one with every update. */
  readonly revision: number;
}

/** A secret without its value, of which a list for people has no need. */
export type SecretEntry = Omit<Secret, 'sealed'>;

/** What a device says about itself when it asks to enrol. Shown to the approver, trusted for nothing. */
export interface DeviceFacts {
  readonly hostname: string;
  readonly platform: string;
  readonly arch: string;
  /** Version of the runtime. */
  readonly version: string;
}

/** An enrolled device. */
export interface Device {
  readonly id: DeviceId;
  readonly name: string;
  readonly owner: Scope;
  /** One for each scope, in no order; at most {@link MAX_SHARES}. */
  readonly shares: readonly Share[];
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  /** `sha256:<64 hex digits>` of the raw public key. */
  readonly fingerprint: string;
  readonly facts: DeviceFacts;
  readonly enrolledAt: UnixMs;
  readonly enrolledBy: string;
  readonly lastSeenAt?: UnixMs;
  readonly lastAddress?: string;
  /** Grows by one with every update. */
  readonly revision: number;
}

/** A request of a device to be enrolled. */
export interface Registration {
  readonly id: RegistrationId;
  readonly deviceId: DeviceId;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly owner: Scope;
  readonly name: string;
  readonly facts: DeviceFacts;
  /** Address it came from. */
  readonly address: string;
  readonly state: 'pending' | 'approved' | 'rejected';
  readonly createdAt: UnixMs;
  readonly expiresAt: UnixMs;
  readonly decidedAt?: UnixMs;
  readonly decidedBy?: string;
  /** Given with a rejection, shown to the device. */
  readonly reason?: string;
  readonly revision: number;
}

/** What an API key is for; its text begins with `twl_u_`, `twl_d_` or `twl_e_`. */
export type KeyKind = 'user' | 'device' | 'enrolment';

/** An API key as it is stored: the secret part only as a hash. */
export interface ApiKey {
  readonly id: KeyId;
  readonly kind: KeyKind;
  /** SHA-256 of the secret part, 64 hex digits. The secret has 256 random bits, so no slow hash is needed. */
  readonly hash: string;
  readonly name: string;
  /** Scope under which the key is listed: of its user, its device's owner, or its organisation. */
  readonly owner: Scope;
  /** Stable id of the user a user key acts as. */
  readonly userId?: string;
  readonly email?: string;
  readonly admin: boolean;
  readonly scopes: readonly ScopeRole[];
  readonly streams?: readonly string[];
  /** Devices a user key is limited to; absent: all. */
  readonly devices?: readonly DeviceId[];
  /** Made by its user: the scopes are a bound on what that user holds, see {@link Principal.bounded}. */
  readonly bounded?: boolean;
  readonly deviceId?: DeviceId;
  /** Devices an enrolment key may still enrol; absent: no limit. */
  readonly remaining?: number;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly expiresAt?: UnixMs;
  readonly lastUsedAt?: UnixMs;
  readonly revokedAt?: UnixMs;
  readonly revokedReason?: string;
  readonly revision: number;
}

/** A session that the relay has opened and whose end is not recorded yet. */
export interface OpenSession {
  readonly id: SessionId;
  readonly deviceId: DeviceId;
  /** Scope of the device's owner; a transfer of the device changes it. */
  readonly owner: Scope;
  readonly protocol: string;
  readonly actor: AuditActor;
  readonly address: string;
  readonly openedAt: UnixMs;
  /** Detail of the opened record, repeated in the closed one. */
  readonly detail: JsonObject;
  readonly deviceName: string;
}

/** What a {@link Revocation} is about. */
export type RevocationKind = 'key' | 'device' | 'user' | 'access' | 'membership' | 'org';

/** Something that ended access, or may have. Live links and sessions that it touches are closed within a second. */
export interface Revocation {
  /** Grows by one; the order in which they happened. */
  readonly number: number;
  readonly at: UnixMs;
  /**
   * `key`, `device`: they are gone. `user`: disabled. `access`: who may reach a device has changed. `membership`: the
   * memberships of a person have. `org`: deleted.
   */
  readonly kind: RevocationKind;
  /** Id of the key, device, user or organisation; the e-mail address of the person. */
  readonly id: string;
  /** Code and text that the peer is told. */
  readonly code: string;
  readonly message: string;
}

/** Who did what a record tells. */
export interface AuditActor {
  readonly kind: Principal['kind'] | 'nobody' | 'operator';
  readonly id: string;
  readonly label: string;
  readonly email?: string;
  readonly provider?: string;
  readonly keyId?: string;
}

/** An audit record before it has its place in the chain. */
export interface AuditEvent {
  readonly at: UnixMs;
  /** `session.opened`, `session.closed`, `device.approved`, … See docs/audit.md. */
  readonly action: string;
  readonly actor: AuditActor;
  /** Address of the peer, as the relay saw it. */
  readonly address?: string;
  readonly device?: { readonly id: DeviceId; readonly name: string };
  /** Scope whose admins may read the record; absent: platform admins only. */
  readonly owner?: Scope;
  readonly session?: SessionId;
  /** Stream protocol of a session. */
  readonly protocol?: string;
  readonly outcome: 'ok' | 'refused' | 'failed' | 'interrupted' | 'lost';
  /** Literal code of the reason, where the outcome needs one or a session ended. */
  readonly reason?: string;
  readonly durationMs?: number;
  readonly bytesToDevice?: number;
  readonly bytesFromDevice?: number;
  readonly exitCode?: number;
  readonly signal?: string;
  /** Who vouches for the end of a session: the relay saw it, or the device reported it. */
  readonly reportedBy?: 'relay' | 'device';
  readonly detail?: JsonObject;
}

/** An audit record in the chain: its hash covers its content and the hash before it. */
export interface AuditRecord extends AuditEvent {
  /** Grows by one from 1, without gaps. */
  readonly number: number;
  /** SHA-256 of the record before, 64 hex digits; zeros for the first. */
  readonly previousHash: string;
  readonly hash: string;
}
