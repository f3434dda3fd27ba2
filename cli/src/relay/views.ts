import type { AccessView } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { checkAnswer, nullable, type Shape } from './answer-shape.ts';

/** Fields of the API's answers that this program prints. The types are those of the contract's api.ts. */

const FACTS: Shape = { hostname: 'text', platform: 'text', arch: 'text', version: 'text' };

/** DeviceView. */
export const DEVICE: Shape = {
  id: 'text',
  name: 'text',
  owner: 'text',
  role: 'text',
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
  email_note: nullable('text'),
  admin: 'flag',
  provider: 'text',
  scopes: 'any',
  streams: nullable('texts'),
  devices: nullable('texts'),
  key_id: nullable('text'),
  expires_at: nullable('text'),
};

/** A scope with the role in it, as MeView and KeyView list them. */
export const SCOPE_ROLE: Shape = { scope: 'text', role: 'text' };

/** SessionView. */
export const SESSION: Shape = {
  id: 'text',
  protocol: 'text',
  actor: { id: 'text', label: 'text' },
  address: nullable('text'),
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

/** UserView. */
export const USER: Shape = {
  id: 'text',
  label: 'text',
  email: nullable('text'),
  provider: 'text',
  disabled: 'flag',
  last_seen_at: 'text',
};

/** OrgView. */
export const ORG: Shape = { id: 'text', name: 'text', role: nullable('text'), created_at: 'text', created_by: 'text' };

/** MemberView. */
export const MEMBER: Shape = { email: 'text', role: 'text', added_at: 'text', added_by: 'text' };

/** KeyView; its scopes are checked by {@link checkScopes}. */
export const KEY: Shape = {
  id: 'text',
  kind: 'text',
  name: 'text',
  owner: 'text',
  admin: 'flag',
  scopes: 'any',
  streams: nullable('texts'),
  devices: nullable('texts'),
  remaining: nullable('number'),
  state: 'text',
  expires_at: nullable('text'),
  last_used_at: nullable('text'),
};

/** CreatedKeyView. */
export const CREATED_KEY: Shape = { id: 'text', key: 'text' };

/** SecretView. */
export const SECRET: Shape = {
  scope: 'text',
  name: 'text',
  created_at: 'text',
  created_by: 'text',
  updated_at: 'text',
  updated_by: 'text',
};

const SHARE: Shape = {
  scope: 'text',
  role: 'text',
  streams: nullable('texts'),
  until: nullable('text'),
  shared_at: 'text',
  shared_by: 'text',
};

/** Checks a list of scopes with roles. @throws TowlineError `protocol_error`. */
export function checkScopes(scopes: unknown): void {
  checkEach(scopes, SCOPE_ROLE, '`scopes`');
}

/** Checks an AccessView. @throws TowlineError `protocol_error`. */
export function checkAccess(answer: unknown): AccessView {
  const access = checkAnswer<AccessView>(answer, { owner: 'text', shares: 'any' });
  checkEach(access.shares, SHARE, '`shares`');
  return access;
}

function checkEach(items: unknown, shape: Shape, where: string): void {
  if (!Array.isArray(items))
    throw new TowlineError('protocol_error', `The relay sent an answer that is not valid: ${where} is not a list.`);
  for (const item of items) checkAnswer(item, shape);
}
