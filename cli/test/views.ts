/** Answers of the API as a relay gives them, for tests to vary. */

export const DEVICE_ID = '0123456789abcdef0123456789abcdef';

export function deviceView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: DEVICE_ID,
    name: 'pi',
    owner: 'org:acme',
    role: 'operator',
    fingerprint: `sha256:${'b'.repeat(64)}`,
    facts: { hostname: 'raspberrypi', platform: 'linux', arch: 'arm64', version: '0.1.0' },
    online: true,
    link: { transport: 'tls', transport_note: 'UDP does not get through.', address: '203.0.113.7', since: '2026-11-22T00:00:00.000Z' },
    enrolled_at: '2026-11-01T00:00:00.000Z',
    enrolled_by: 'admin@example.com',
    last_seen_at: '2026-11-22T00:00:00.000Z',
    last_address: '203.0.113.7',
    serves: ['/exec/1', '/shell/1'],
    ...extra,
  };
}

export const REQUEST_ID = 'f'.repeat(32);

export function registrationView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: REQUEST_ID,
    device_id: DEVICE_ID,
    name: 'pi',
    owner: 'org:acme',
    fingerprint: `sha256:${'b'.repeat(64)}`,
    facts: { hostname: 'raspberrypi', platform: 'linux', arch: 'arm64', version: '0.1.0' },
    address: '203.0.113.7',
    state: 'pending',
    created_at: '2026-11-22T00:00:00.000Z',
    expires_at: '2126-11-23T00:00:00.000Z',
    relay: 'c'.repeat(32),
    ...extra,
  };
}

export function meView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    kind: 'user',
    id: 'apikey|1',
    label: 'alice@example.com',
    email: 'alice@example.com',
    admin: false,
    provider: 'apikey',
    scopes: [{ scope: 'org:acme', role: 'admin' }],
    key_id: '1'.repeat(16),
    expires_at: null,
    ...extra,
  };
}

export const SESSION_ID = 'd'.repeat(32);

export function sessionView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: SESSION_ID,
    device: { id: DEVICE_ID, name: 'pi' },
    protocol: '/exec/1',
    actor: { id: 'apikey|1', label: 'alice@example.com' },
    address: '198.51.100.9',
    opened_at: '2026-11-22T00:00:00.000Z',
    detail: { command: 'sleep 100' },
    ...extra,
  };
}

export function auditView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    number: 7,
    at: '2026-11-22T00:00:00.123Z',
    action: 'session.closed',
    outcome: 'ok',
    reason: 'exited',
    actor: { kind: 'user', id: 'apikey|1', label: 'alice', email: 'alice@example.com' },
    address: '198.51.100.9',
    device: { id: DEVICE_ID, name: 'pi' },
    session: SESSION_ID,
    protocol: '/exec/1',
    duration_ms: 1_234,
    bytes_to_device: 12,
    bytes_from_device: 3_400,
    exit_code: 0,
    signal: null,
    reported_by: 'device',
    detail: { command: 'ls -la' },
    ...extra,
  };
}

export const USER_ID = 'https://id.example.com|0a/1:b';

export function userView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: USER_ID,
    label: 'bob@example.com',
    email: 'bob@example.com',
    provider: 'oidc',
    disabled: false,
    disabled_at: null,
    disabled_by: null,
    created_at: '2026-11-01T00:00:00.000Z',
    last_seen_at: '2026-11-02T00:00:00.000Z',
    ...extra,
  };
}

export function orgView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'acme',
    name: 'Acme Ltd',
    role: 'admin',
    created_at: '2026-11-01T00:00:00.000Z',
    created_by: 'ada@example.com',
    ...extra,
  };
}

export function memberView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return { email: 'bob@example.com', role: 'operator', added_at: '2026-11-01T00:00:00.000Z', added_by: 'ada@example.com', ...extra };
}

export const KEY_ID = '00112233aabbccdd';

export function keyView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: KEY_ID,
    kind: 'user',
    prefix: `twl_u_${KEY_ID}`,
    name: 'ci',
    owner: 'user:bob@example.com',
    email: 'bob@example.com',
    admin: false,
    scopes: [{ scope: 'org:acme', role: 'operator' }],
    streams: ['exec'],
    devices: null,
    remaining: null,
    state: 'valid',
    created_at: '2026-11-01T00:00:00.000Z',
    created_by: 'bob@example.com',
    expires_at: null,
    last_used_at: null,
    ...extra,
  };
}

export function shareView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    scope: 'user:bob@example.com',
    role: 'operator',
    streams: ['exec', 'shell'],
    until: '2126-11-22T00:00:00.000Z',
    shared_at: '2026-11-01T00:00:00.000Z',
    shared_by: 'ada@example.com',
    ...extra,
  };
}

export function accessView(extra: Record<string, unknown> = {}): Record<string, unknown> {
  return { owner: 'org:acme', shares: [shareView()], ...extra };
}
