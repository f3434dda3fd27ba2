import type { DeviceId, KeyId, OrgId, RegistrationId, Scope, SessionId } from '@towline/protocol';
import type {
  ApiKey,
  AuditRecord,
  Device,
  Membership,
  OpenSession,
  Organisation,
  Registration,
  Revocation,
  Role,
  Secret,
  SecretEntry,
  UnixMs,
  User,
} from './model.ts';
import type { SYSTEM_SCOPE } from './system-scope.ts';

/**
 * On whose behalf a store is asked: the scopes of the caller, or the kernel itself. The store filters in the
 * database: an object outside the scopes is answered exactly as one that does not exist.
 */
export type Caller = readonly Scope[] | typeof SYSTEM_SCOPE;

/** Asks for one page. */
export interface PageRequest {
  /** `next` of the page before; absent for the first. Opaque; one that the store did not make is `invalid_request`. */
  readonly cursor?: string;
  /** 1 to 500. */
  readonly limit: number;
}

/** One page. Stable under insertion: no item is seen twice or left out that was there all the time. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Cursor of the next page, or null after the last. */
  readonly next: string | null;
}

/** Fields that an update may change. */
export type DeviceChange = Partial<Pick<Device, 'name' | 'owner' | 'shares' | 'facts' | 'publicKey' | 'fingerprint'>>;
/** Why access ended, told to whom it concerns. */
export type RevocationNotice = Omit<Revocation, 'number' | 'kind' | 'id'>;
/** How a registration is decided. */
export type RegistrationDecision = Pick<Registration, 'state'> &
  Required<Pick<Registration, 'decidedAt' | 'decidedBy'>> &
  Pick<Registration, 'reason'>;

/** Enrolled devices. A caller sees those whose owner is one of the scopes, or one of whose shares is for one of them, whatever its end. */
export interface DeviceRepository {
  get(id: DeviceId, caller: Caller): Promise<Device | null>;
  /** In the order of their ids. `name`: exact; `idPrefix`: ids that begin so. */
  list(
    filter: { readonly name?: string; readonly idPrefix?: string; readonly owner?: Scope },
    page: PageRequest,
    caller: Caller,
  ): Promise<Page<Device>>;
  /** Adds a device with revision 1. False when the id exists; nothing is changed then. */
  insert(device: Device): Promise<boolean>;
  /**
   * Changes a device of that revision; with a notice it appends a revocation of kind `access`, all or nothing. With a new
   * owner the keys of the device and what waits for it go to that scope too.
   * @throws TowlineError `store_conflict` for another revision, `not_found`.
   */
  update(id: DeviceId, change: DeviceChange, revision: number, caller: Caller, notice?: RevocationNotice): Promise<Device>;
  /** Some devices, at most 100, with a share that ended at `now` or before. For the kernel only. */
  listWithEndedShares(now: UnixMs): Promise<readonly Device[]>;
  /** Notes a sign of life. Does not touch the revision; a device that is gone is no error. */
  touch(id: DeviceId, seen: { readonly at: UnixMs; readonly address: string }): Promise<void>;
  /**
   * Removes the device, revokes all its keys and appends a revocation of kind `device`, all or nothing.
   * False when there is none that the caller may see.
   */
  remove(id: DeviceId, revocation: Omit<Revocation, 'number' | 'kind' | 'id'>, caller: Caller): Promise<boolean>;
}

/** Requests to enrol. */
export interface RegistrationRepository {
  get(id: RegistrationId, caller: Caller): Promise<Registration | null>;
  /** The newest request for this device id that has not expired at `now`, whatever its state. For the kernel only. */
  findByDevice(deviceId: DeviceId, now: UnixMs): Promise<Registration | null>;
  /** Pending ones that have not expired at `now`, oldest first. */
  listPending(filter: { readonly owner?: Scope; readonly now: UnixMs }, page: PageRequest, caller: Caller): Promise<Page<Registration>>;
  /** How many are pending and not expired, for one owner or from one address. */
  countPending(filter: { readonly owner: Scope } | { readonly address: string }, now: UnixMs): Promise<number>;
  /** Adds a request with revision 1. False when the id exists. */
  insert(registration: Registration): Promise<boolean>;
  /** Decides a request that is still pending. Null when it was decided before: exactly one caller wins. @throws `not_found`. */
  decide(id: RegistrationId, decision: RegistrationDecision, caller: Caller): Promise<Registration | null>;
  /** Deletes requests that expired before `before`; answers how many. */
  deleteExpired(before: UnixMs): Promise<number>;
  /** Deletes every request for a device id. */
  deleteForDevice(deviceId: DeviceId): Promise<void>;
}

/** API keys. */
export interface KeyRepository {
  get(id: KeyId, caller: Caller): Promise<ApiKey | null>;
  /** In the order of their ids. */
  list(
    filter: { readonly kind?: ApiKey['kind']; readonly deviceId?: DeviceId; readonly userId?: string; readonly includeRevoked?: boolean },
    page: PageRequest,
    caller: Caller,
  ): Promise<Page<ApiKey>>;
  /** Adds a key with revision 1. False when the id exists. */
  insert(key: ApiKey): Promise<boolean>;
  /** Sets the time of last use. May be lost in a crash; never moves back. */
  touch(id: KeyId, at: UnixMs): Promise<void>;
  /** Takes one use off an enrolment key. False when none is left; of two callers for the last one exactly one wins. */
  spend(id: KeyId): Promise<boolean>;
  /** Revokes a key and appends a revocation, all or nothing. False when there is none that the caller may see or it was revoked before. */
  revoke(id: KeyId, revocation: Omit<Revocation, 'number' | 'kind' | 'id'>, caller: Caller): Promise<boolean>;
  /**
   * Revokes the keys of a device that were made before the one it keeps, without revocation notices: the device moved on.
   * Newer ones stay: they may be on their way to it.
   */
  revokeOlderOfDevice(deviceId: DeviceId, keep: KeyId, at: UnixMs): Promise<void>;
}

/** What is known of a user at a login. */
export type UserLogin = Pick<User, 'id' | 'label' | 'email' | 'provider' | 'claims'> & { readonly at: UnixMs };

/** Whoever has logged in. Not tenant data: for the kernel, which shows it to platform admins. */
export interface UserRepository {
  get(id: string): Promise<User | null>;
  /** In the order of their ids. `email`: exact, normalised. */
  list(filter: { readonly email?: string; readonly disabled?: boolean }, page: PageRequest): Promise<Page<User>>;
  /**
   * Notes a login: adds the user with revision 1, or sets label, e-mail (also its absence), provider, claims and the time. Whether
   * it is disabled stays. Answers the user as it is then. The revision grows only when something besides the time changed.
   */
  note(login: UserLogin): Promise<User>;
  /** Disables a user and appends a revocation of kind `user`, all or nothing. False when there is none, or it was disabled before. */
  disable(id: string, by: string, notice: RevocationNotice): Promise<boolean>;
  /** False when there is none, or it is not disabled. */
  enable(id: string): Promise<boolean>;
}

/** How a change of a membership came out. */
export type MembershipOutcome = 'done' | 'absent' | 'last_admin';

/** Organisations and who belongs to them. A caller sees the organisations whose scope is among the caller's. */
export interface OrganisationRepository {
  /** Also one that was deleted. */
  get(id: OrgId, caller: Caller): Promise<Organisation | null>;
  /** In the order of their ids, without deleted ones. */
  list(page: PageRequest, caller: Caller): Promise<Page<Organisation>>;
  /** Adds an organisation with revision 1. False when the id was ever used. */
  insert(organisation: Organisation): Promise<boolean>;
  /**
   * Marks it as deleted, removes its memberships and the secrets of its scope, and appends a revocation of kind `org`, all or nothing.
   * False when there is none that the caller may see, or it was deleted before.
   */
  delete(id: OrgId, notice: RevocationNotice, caller: Caller): Promise<boolean>;
  /** In the order of their addresses. */
  listMembers(id: OrgId, page: PageRequest, caller: Caller): Promise<Page<Membership>>;
  /**
   * Adds somebody, or changes the role; who added it first, and when, stays. With a notice it appends a revocation of kind
   * `membership`, all or nothing. `absent`: no such organisation; `last_admin`: the only admin would be none any more.
   */
  setMember(membership: Membership, caller: Caller, notice?: RevocationNotice): Promise<MembershipOutcome>;
  /** Removes somebody and appends a revocation of kind `membership`, all or nothing. */
  removeMember(id: OrgId, email: string, notice: RevocationNotice, caller: Caller): Promise<MembershipOutcome>;
}

/** Fields that an update may change. */
export type SecretChange = Pick<Secret, 'sealed' | 'keyId'> & Partial<Pick<Secret, 'updatedAt' | 'updatedBy'>>;

/** Secrets. A caller sees those whose scope is one of the caller's. */
export interface SecretRepository {
  get(scope: Scope, name: string, caller: Caller): Promise<Secret | null>;
  /** In the order of scope, then name. */
  list(filter: { readonly scope?: Scope }, page: PageRequest, caller: Caller): Promise<Page<Secret>>;
  /** The same without their values, which are not read: a page of 500 may have eleven megabytes of them. Entries have no field `sealed`. */
  listEntries(filter: { readonly scope?: Scope }, page: PageRequest, caller: Caller): Promise<Page<SecretEntry>>;
  /** Adds a secret with revision 1. False when the scope has the name already; nothing is changed then. */
  insert(secret: Secret): Promise<boolean>;
  /** Changes a secret of that revision. @throws TowlineError `store_conflict` for another revision, `not_found`. */
  update(scope: Scope, name: string, change: SecretChange, revision: number, caller: Caller): Promise<Secret>;
  /** False when there is none that the caller may see. */
  remove(scope: Scope, name: string, caller: Caller): Promise<boolean>;
  /** How many a scope has. For the kernel only. */
  count(scope: Scope): Promise<number>;
  /** Some secrets, at most 100, whose key is another than this. For the kernel only. */
  listNotUnder(keyId: string): Promise<readonly Secret[]>;
}

/** Whose standing is asked for. */
export interface StandingQuery {
  readonly userId: string;
  /** Whose memberships count. Normalised. Absent: nobody's, whatever address is noted for the user, unless `ofUser` is set. */
  readonly email?: string;
  /** Take the address from the record of the user, and look at the organisations of its claims as well: the credential is a bounded one. */
  readonly ofUser?: boolean;
  readonly keyId?: KeyId;
  /** Organisations that the credential names. */
  readonly orgs: readonly OrgId[];
}

/** Everything that decides whether a credential of a user still counts, and for what, in one look. */
export interface Standing {
  readonly user: User | null;
  /** The key that was named; null when none was, or there is none. */
  readonly key: ApiKey | null;
  /** Of organisations that are not deleted. */
  readonly memberships: readonly { readonly org: OrgId; readonly role: Role }[];
  /** Those of the named organisations that were deleted. */
  readonly deletedOrgs: readonly OrgId[];
}

/** Sessions that are open by the relay's knowledge. */
export interface SessionRepository {
  insert(session: OpenSession): Promise<boolean>;
  get(id: SessionId, caller: Caller): Promise<OpenSession | null>;
  /** In the order of their ids. */
  list(filter: { readonly deviceId?: DeviceId }, page: PageRequest, caller: Caller): Promise<Page<OpenSession>>;
  /** Forgets a session whose end is recorded. False when it was forgotten before: exactly one caller wins. */
  remove(id: SessionId): Promise<boolean>;
}

/** What `audit` can be asked for. */
export interface AuditFilter {
  readonly deviceId?: DeviceId;
  readonly session?: SessionId;
  /** E-mail or id of the actor, exact. */
  readonly actor?: string;
  /** Exact action, or its first part (`session` finds `session.opened`). */
  readonly action?: string;
  /** Inclusive. */
  readonly since?: UnixMs;
  /** Exclusive. */
  readonly until?: UnixMs;
}

/** The queryable trail. */
export interface AuditRepository {
  /** Number and hash of the last record, or null for an empty trail. */
  head(): Promise<{ readonly number: number; readonly hash: string } | null>;
  /** Appends records that continue the chain, all or nothing, durable when it resolves. @throws `store_conflict` when the head has moved. */
  append(records: readonly AuditRecord[]): Promise<void>;
  /** `descending`: newest first. */
  list(filter: AuditFilter, order: 'ascending' | 'descending', page: PageRequest, caller: Caller): Promise<Page<AuditRecord>>;
}

/** What ended access, in order. */
export interface RevocationRepository {
  /** Number of the last one, 0 when there is none. */
  last(): Promise<number>;
  /** Those after a number, oldest first, at most 500. */
  listAfter(number: number): Promise<readonly Revocation[]>;
  deleteBefore(at: UnixMs): Promise<number>;
}

/** Kinds of objects in an export, in the order in which they come. */
export const STORE_RECORD_KINDS = Object.freeze([
  'meta',
  'user',
  'organisation',
  'membership',
  'secret',
  'device',
  'registration',
  'key',
  'session',
  'revocation',
  'audit',
] as const);
/** One object as it is exported: JSON without loss. `value` is the object of the model; for `meta` `{ name, value }`; an organisation also when deleted. */
export interface StoreRecord {
  readonly kind: (typeof STORE_RECORD_KINDS)[number];
  readonly value: object;
}

/** Small values of the relay itself: its id, its grant keys. */
export interface MetaRepository {
  get(name: string): Promise<string | null>;
  /** Sets a value where the present one is `expected` (null: absent). False when it is another. */
  compareAndSet(name: string, expected: string | null, value: string): Promise<boolean>;
}

/**
 * A store plugin. Every method that changes something resolves when the change is durable.
 * All may be called at the same time; each is atomic by itself. Failures are TowlineError `store_failed`.
 */
export interface Store {
  /** Numbers of the schema that the data had before the start and that they have since; absent where a store has none. 0: there were no data. */
  readonly schema?: { readonly from: number; readonly to: number } | undefined;
  readonly devices: DeviceRepository;
  readonly registrations: RegistrationRepository;
  readonly keys: KeyRepository;
  readonly users: UserRepository;
  readonly organisations: OrganisationRepository;
  readonly secrets: SecretRepository;
  readonly sessions: SessionRepository;
  readonly audit: AuditRepository;
  readonly revocations: RevocationRepository;
  readonly meta: MetaRepository;
  /** What counts for a user now: one round trip. For the kernel only. */
  standing(query: StandingQuery): Promise<Standing>;
  /** Whether anything names this scope: a device, key, request to enrol, share or secret. For the kernel only. */
  isScopeUsed(scope: Scope): Promise<boolean>;
  /** Every object, kind by kind, within a kind in a stable order; a state that was at one moment where the store can give that, else docs/store.md says what may differ. */
  export(signal: AbortSignal): AsyncIterable<StoreRecord>;
  /** Fills an empty store with an export: all of it, or the store is empty again. Numbers, revisions and hashes stay as they are. @throws TowlineError `conflict` when the store holds anything, `invalid_request` naming the record that does not fit. */
  import(records: AsyncIterable<StoreRecord>, signal: AbortSignal): Promise<void>;
  /**
   * Writes everything, as it is at one moment, into a new file in the store's own form: started on that file, the store is in that
   * state again. `path` is absolute. Nobody waits for it. When it resolves the file is whole, checked, for its owner only and on the
   * disk; when it rejects there is none. A store leaves it out whose database has a tool of its own for that.
   * @throws TowlineError `conflict` when the path is taken, `data_unwritable`, `file_damaged` when the data are damaged; the reason of the signal.
   */
  backup?(path: string, signal: AbortSignal): Promise<void>;
  /** Resolves when the store can serve. @throws `store_failed`. */
  ping(): Promise<void>;
  /**
   * Resolves when the files of the store hold nothing any more of values of `meta` that were replaced, nor of secrets that were
   * replaced or removed. A store leaves it out that has no say over where its backend leaves what it replaced. @throws `data_in_use` when another process keeps that from being done.
   */
  scrub?(): Promise<void>;
}
