import type {
  AuditRecord,
  AuditView,
  Device,
  DeviceView,
  ListView,
  MeView,
  OpenSession,
  Page,
  Principal,
  Registration,
  RegistrationView,
  SessionView,
  UnixMs,
} from '@towline/contract';
import type { DeviceLink } from '../links/registry.ts';

/** A page as clients read it. */
export function listView<Item, View>({ items, next }: Page<Item>, view: (item: Item) => View): ListView<View> {
  return { items: items.map(view), next };
}

/** A device, with its present link where it has one. */
export function deviceView(device: Device, link: DeviceLink | null): DeviceView {
  return {
    id: device.id,
    name: device.name,
    owner: device.owner,
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
    admin: principal.admin,
    provider: principal.provider,
    scopes: principal.scopes,
    key_id: principal.keyId ?? null,
    expires_at: timeOrNull(principal.expiresAt),
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
