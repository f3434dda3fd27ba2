import type {
  AccessView,
  ApiKey,
  AuditRecord,
  AuditView,
  Device,
  DeviceView,
  KeyView,
  ListView,
  Membership,
  MemberView,
  MeView,
  OpenSession,
  Organisation,
  OrgView,
  Page,
  Principal,
  Registration,
  RegistrationView,
  Role,
  SecretEntry,
  SecretView,
  SessionView,
  Share,
  ShareView,
  UnixMs,
  User,
  UserView,
} from '@towline/contract';
import { API_KEY_PREFIX, defined, orgScope } from '@towline/protocol';
import type { DeviceLink } from '../links/registry.ts';
import { ownRoleOn } from '../people/organisations.ts';

/** A page as clients read it. */
export function listView<Item, View>({ items, next }: Page<Item>, view: (item: Item) => View): ListView<View> {
  return { items: items.map(view), next };
}

/** A device, with its present link where it has one, and what whoever asks may do with it. */
export function deviceView(device: Device, link: DeviceLink | null, role: Role): DeviceView {
  return {
    id: device.id,
    name: device.name,
    owner: device.owner,
    role,
    fingerprint: device.fingerprint,
    facts: device.facts,
    online: link !== null,
    link: link === null ? null : linkView(link),
    enrolled_at: time(device.enrolledAt),
    enrolled_by: device.enrolledBy,
    last_seen_at: timeOrNull(device.lastSeenAt),
    last_address: device.lastAddress ?? null,
    serves: link?.serves ?? [],
  };
}

function linkView({ transport, transportNote, address, since }: DeviceLink): NonNullable<DeviceView['link']> {
  return { transport, ...(transportNote === undefined ? {} : { transport_note: transportNote }), address, since: time(since) };
}

/** A request to enrol. */
export function registrationView(registration: Registration, relay: string): RegistrationView {
  return {
    id: registration.id,
    device_id: registration.deviceId,
    name: registration.name,
    owner: registration.owner,
    fingerprint: registration.fingerprint,
    facts: registration.facts,
    address: registration.address,
    state: registration.state,
    created_at: time(registration.createdAt),
    expires_at: time(registration.expiresAt),
    relay,
  };
}

/** Who asks. */
export function meView(principal: Principal): MeView {
  return {
    kind: principal.kind,
    id: principal.id,
    label: principal.label,
    email: principal.email ?? null,
    ...defined({ email_note: principal.emailNote }),
    admin: principal.admin,
    provider: principal.provider,
    scopes: principal.scopes,
    streams: principal.streams ?? null,
    devices: principal.devices ?? null,
    key_id: principal.keyId ?? null,
    expires_at: timeOrNull(principal.expiresAt),
  };
}

/** A user, as platform admins see them. */
export function userView(user: User): UserView {
  return {
    id: user.id,
    label: user.label,
    email: user.email ?? null,
    provider: user.provider,
    disabled: user.disabledAt !== undefined,
    disabled_at: timeOrNull(user.disabledAt),
    disabled_by: user.disabledBy ?? null,
    created_at: time(user.createdAt),
    last_seen_at: time(user.lastSeenAt),
  };
}

/** An organisation, with the role that whoever asks holds in it. */
export function orgView({ id, name, createdAt, createdBy }: Organisation, asker: Principal): OrgView {
  return { id, name, role: ownRoleOn(asker, orgScope(id)), created_at: time(createdAt), created_by: createdBy };
}

/** A member of an organisation. */
export function memberView({ email, role, addedAt, addedBy }: Membership): MemberView {
  return { email, role, added_at: time(addedAt), added_by: addedBy };
}

/** A key; its secret is known to nobody. */
export function keyView(key: ApiKey, now: UnixMs): KeyView {
  return {
    id: key.id,
    kind: key.kind,
    prefix: `${API_KEY_PREFIX}${key.kind[0]}_${key.id}`,
    name: key.name,
    owner: key.owner,
    email: key.email ?? null,
    admin: key.admin,
    scopes: key.scopes,
    streams: key.streams ?? null,
    devices: key.devices ?? null,
    remaining: key.remaining ?? null,
    state: keyState(key, now),
    created_at: time(key.createdAt),
    created_by: key.createdBy,
    expires_at: timeOrNull(key.expiresAt),
    last_used_at: timeOrNull(key.lastUsedAt),
  };
}

/** A secret, by all but what it is about. */
export function secretView({ scope, name, createdAt, createdBy, updatedAt, updatedBy }: SecretEntry): SecretView {
  return { scope, name, created_at: time(createdAt), created_by: createdBy, updated_at: time(updatedAt), updated_by: updatedBy };
}

function keyState({ revokedAt, expiresAt }: ApiKey, now: UnixMs): KeyView['state'] {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && expiresAt <= now ? 'expired' : 'valid';
}

/** Who may reach a device now, by its owner and by shares that have not ended. */
export function accessView({ owner, shares }: Device, now: UnixMs): AccessView {
  return { owner, shares: shares.filter(({ until }) => until === undefined || until > now).map(shareView) };
}

function shareView(share: Share): ShareView {
  return {
    scope: share.scope,
    role: share.role,
    streams: share.streams ?? null,
    until: timeOrNull(share.until),
    shared_at: time(share.sharedAt),
    shared_by: share.sharedBy,
  };
}

/** An open session. What it runs and from where is for its own user and for those who may read the trail. */
export function sessionView(session: OpenSession, inDetail: boolean): SessionView {
  return {
    id: session.id,
    device: { id: session.deviceId, name: session.deviceName },
    protocol: session.protocol,
    actor: { id: session.actor.id, label: session.actor.label },
    address: inDetail ? session.address : null,
    opened_at: time(session.openedAt),
    detail: inDetail ? session.detail : null,
  };
}

/** A record of the trail. */
export function auditView(record: AuditRecord): AuditView {
  const { actor } = record;
  return {
    number: record.number,
    at: time(record.at),
    action: record.action,
    outcome: record.outcome,
    reason: record.reason ?? null,
    actor: { kind: actor.kind, id: actor.id, label: actor.label, email: actor.email ?? null },
    address: record.address ?? null,
    device: record.device ?? null,
    session: record.session ?? null,
    protocol: record.protocol ?? null,
    duration_ms: record.durationMs ?? null,
    bytes_to_device: record.bytesToDevice ?? null,
    bytes_from_device: record.bytesFromDevice ?? null,
    exit_code: record.exitCode ?? null,
    signal: record.signal ?? null,
    reported_by: record.reportedBy ?? null,
    detail: record.detail ?? null,
  };
}

function time(at: UnixMs): string {
  return new Date(at).toISOString();
}

function timeOrNull(at: UnixMs | undefined): string | null {
  return at === undefined ? null : time(at);
}
