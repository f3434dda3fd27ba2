import { createHash } from 'node:crypto';
import type {
  ApiKey,
  AuditRecord,
  Device,
  Membership,
  OpenSession,
  Organisation,
  Registration,
  Secret,
  Share,
  User,
  UserLogin,
} from '@towline/contract';
import type { DeviceId, KeyId, OrgId, RegistrationId, Scope, SessionId } from '@towline/protocol';

/** Some moment, Unix milliseconds. */
export const NOON = 1_800_000_000_000;
/** Scope of somebody who owns things. */
export const ADA = 'user:ada@example.com' as Scope;
/** Scope of somebody else. */
export const BOB = 'user:bob@example.com' as Scope;
/** Scope of an organisation. */
export const ACME = 'org:acme' as Scope;

/** Id of the organisation of {@link ACME}. */
export const ACME_ID = 'acme' as OrgId;

/** The n-th id of 128 bits; ids rise with n. */
export function idOf<Id extends DeviceId | RegistrationId | SessionId>(n: number): Id {
  return n.toString(16).padStart(32, '0') as Id;
}

/** The n-th id of a key; ids rise with n. */
export function keyIdOf(n: number): KeyId {
  return n.toString(16).padStart(16, '0') as KeyId;
}

/** The n-th device, owned by {@link ADA}. */
export function sampleDevice(n: number, change: Partial<Device> = {}): Device {
  return {
    id: idOf<DeviceId>(n),
    name: `device ${n}`,
    owner: ADA,
    publicKey: sha256(`public key ${n}`, 'base64url'),
    fingerprint: `sha256:${sha256(`fingerprint ${n}`)}`,
    shares: [],
    facts: { hostname: `host-${n}`, platform: 'linux', arch: 'arm64', version: '1.2.3' },
    enrolledAt: NOON + n,
    enrolledBy: 'issuer|ada',
    revision: 1,
    ...change,
  };
}

/** The n-th request to enrol, for the n-th device, pending for an hour from {@link NOON} + n. */
export function sampleRegistration(n: number, change: Partial<Registration> = {}): Registration {
  const { publicKey, fingerprint, name, facts } = sampleDevice(n);
  return {
    id: idOf<RegistrationId>(n),
    deviceId: idOf<DeviceId>(n),
    publicKey,
    fingerprint,
    owner: ADA,
    name,
    facts,
    address: '192.0.2.1',
    state: 'pending',
    createdAt: NOON + n,
    expiresAt: NOON + n + 3_600_000,
    revision: 1,
    ...change,
  };
}

/** The n-th key, a user's, owned by {@link ADA}. */
export function sampleKey(n: number, change: Partial<ApiKey> = {}): ApiKey {
  return {
    id: keyIdOf(n),
    kind: 'user',
    hash: sha256(`secret ${n}`),
    name: `key ${n}`,
    owner: ADA,
    admin: false,
    scopes: [{ scope: ADA, role: 'operator' }],
    createdAt: NOON + n,
    createdBy: 'issuer|ada',
    revision: 1,
    ...change,
  };
}

/** The n-th open session, on the n-th device, owned by {@link ADA}. */
export function sampleSession(n: number, change: Partial<OpenSession> = {}): OpenSession {
  return {
    id: idOf<SessionId>(n),
    deviceId: idOf<DeviceId>(n),
    owner: ADA,
    protocol: '/exec/1',
    actor: { kind: 'user', id: 'issuer|ada', label: 'ada@example.com', email: 'ada@example.com', provider: 'oidc' },
    address: '192.0.2.1',
    openedAt: NOON + n,
    detail: { argv: ['ls', '-l'], environment: { LANG: 'C' }, terminal: false },
    deviceName: `device ${n}`,
    ...change,
  };
}

/** A share for the holders of a scope, as operators and without an end. */
export function sampleShare(scope: Scope, change: Partial<Share> = {}): Share {
  return { scope, role: 'operator', sharedAt: NOON, sharedBy: 'issuer|ada', ...change };
}

/** What is known at the first login of the n-th user, at {@link NOON} + n; ids rise with n. */
export function sampleLogin(n: number, change: Partial<UserLogin> = {}): UserLogin {
  const email = `user-${n}@example.com`;
  const id = `issuer|${n.toString().padStart(8, '0')}`;
  return { id, label: email, email, provider: 'oidc', claims: [{ scope: ACME, role: 'viewer' }], at: NOON + n, ...change };
}

/** The n-th user, as the store knows it after that login. */
export function sampleUser(n: number, change: Partial<User> = {}): User {
  const { at, ...login } = sampleLogin(n);
  return { ...login, createdAt: at, lastSeenAt: at, revision: 1, ...change };
}

/** The organisation of {@link ACME}. */
export function sampleOrganisation(change: Partial<Organisation> = {}): Organisation {
  return { id: ACME_ID, name: 'Acme, Inc.', createdAt: NOON, createdBy: 'issuer|ada', revision: 1, ...change };
}

/** The n-th member of {@link ACME}, a viewer; addresses rise with n. */
export function sampleMembership(n: number, change: Partial<Membership> = {}): Membership {
  const email = `member-${n.toString().padStart(8, '0')}@example.com`;
  return { org: ACME_ID, email, role: 'viewer', addedAt: NOON + n, addedBy: 'issuer|ada', ...change };
}

/** The n-th secret, of {@link ADA}; names rise with n. */
export function sampleSecret(n: number, change: Partial<Secret> = {}): Secret {
  const keyId = change.keyId ?? 'first';
  return {
    scope: ADA,
    name: `SECRET_${n.toString().padStart(8, '0')}`,
    keyId,
    sealed: `v1.${keyId}.${sha256(keyId).slice(0, 16)}.${sha256(`sealed ${n}`, 'base64url')}`,
    createdAt: NOON + n,
    createdBy: 'ada@example.com',
    updatedAt: NOON + n,
    updatedBy: 'ada@example.com',
    revision: 1,
    ...change,
  };
}

/** A chain of audit records, one for each change, that goes on after `head`. */
export function sampleRecords(
  changes: readonly Partial<AuditRecord>[],
  head: { readonly number: number; readonly hash: string } | null = null,
): AuditRecord[] {
  const records: AuditRecord[] = [];
  let { number, hash: previousHash } = head ?? { number: 0, hash: '0'.repeat(64) };
  for (const change of changes) {
    number += 1;
    const record = { ...sampleEvent(number), ...change, number, previousHash };
    records.push({ ...record, hash: sha256(JSON.stringify(record)) });
    previousHash = records.at(-1)!.hash;
  }
  return records;
}

/** `count` changes that change nothing, for {@link sampleRecords}. */
export function plain(count: number): readonly Partial<AuditRecord>[] {
  return Array.from({ length: count }, () => ({}));
}

function sampleEvent(n: number): Omit<AuditRecord, 'number' | 'hash' | 'previousHash'> {
  return {
    at: NOON + n,
    action: 'session.opened',
    actor: { kind: 'user', id: 'issuer|ada', label: 'Ada', email: 'ada@example.com', provider: 'oidc' },
    address: '192.0.2.1',
    device: { id: idOf<DeviceId>(1), name: 'device 1' },
    owner: ADA,
    session: idOf<SessionId>(n),
    protocol: '/exec/1',
    outcome: 'ok',
    detail: { argv: ['true'] },
  };
}

function sha256(text: string, encoding: 'hex' | 'base64url' = 'hex'): string {
  return createHash('sha256').update(text).digest(encoding);
}
