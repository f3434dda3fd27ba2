import { nullable, type Shape } from './answer-shape.ts';

/** Fields of the API's answers that this program prints. The types are those of the contract's api.ts. */

const FACTS: Shape = { hostname: 'text', platform: 'text', arch: 'text', version: 'text' };

/** DeviceView. */
export const DEVICE: Shape = {
  id: 'text',
  name: 'text',
  owner: 'text',
  fingerprint: 'text',
  facts: FACTS,
  online: 'flag',
  link: nullable({ transport: 'text', transport_note: nullable('text'), address: 'text', since: 'text' }),
  enrolled_at: 'text',
  enrolled_by: 'text',
  last_seen_at: nullable('text'),
  last_address: nullable('text'),
  serves: 'texts',
};

/** RegistrationView. */
export const REGISTRATION: Shape = {
  id: 'text',
  device_id: 'text',
  name: 'text',
  owner: 'text',
  fingerprint: 'text',
  facts: FACTS,
  address: 'text',
  created_at: 'text',
  expires_at: 'text',
};

/** MeView; its scopes are checked one by one by {@link SCOPE_ROLE}. */
export const ME: Shape = {
  kind: 'text',
  id: 'text',
  label: 'text',
  email: nullable('text'),
  admin: 'flag',
  provider: 'text',
  scopes: 'any',
  key_id: nullable('text'),
  expires_at: nullable('text'),
};

/** A scope with the role in it, as MeView lists them. */
export const SCOPE_ROLE: Shape = { scope: 'text', role: 'text' };

/** SessionView. */
export const SESSION: Shape = {
  id: 'text',
  protocol: 'text',
  actor: { id: 'text', label: 'text' },
  address: 'text',
  opened_at: 'text',
  detail: nullable('any'),
};

/** AuditView. */
export const AUDIT_RECORD: Shape = {
  number: 'number',
  at: 'text',
  action: 'text',
  outcome: 'text',
  reason: nullable('text'),
  actor: { kind: 'text', id: 'text', label: 'text', email: nullable('text') },
  address: nullable('text'),
  device: nullable({ id: 'text', name: 'text' }),
  session: nullable('text'),
  protocol: nullable('text'),
  duration_ms: nullable('number'),
  bytes_to_device: nullable('number'),
  bytes_from_device: nullable('number'),
  exit_code: nullable('number'),
  signal: nullable('text'),
  reported_by: nullable('text'),
  detail: nullable('any'),
};
