import type { JsonObject } from '@towline/protocol';
import { createIdentity, registrationBody } from '../support/raw-device.ts';
import { emailOf, PRINCIPAL_NAMES, type PrincipalName, rowOf } from './principals.ts';

/**
 * Whose the object is that is asked for: one's own, of the organisation acme, lent to some, of the organisation globex, one that does not
 * exist, or (organisations alone) one that was deleted.
 */
export type Whose = 'own' | 'org' | 'lent' | 'foreign' | 'absent' | 'deleted';

/** What the first parameter of a path names. */
export type ObjectKind = 'device' | 'session' | 'registration' | 'org' | 'key' | 'user' | 'scope';

/** Which classes there are of each kind of object. */
export const CLASSES: Readonly<Record<ObjectKind, readonly Whose[]>> = Object.freeze({
  device: ['own', 'org', 'lent', 'foreign', 'absent'],
  session: ['own', 'org', 'lent', 'foreign', 'absent'],
  registration: ['own', 'org', 'foreign', 'absent'],
  org: ['org', 'foreign', 'absent', 'deleted'],
  key: ['own', 'org', 'foreign', 'absent'],
  user: ['own', 'foreign', 'absent'],
  scope: ['own', 'org', 'foreign', 'absent'],
});

/** What somebody is to an object: by the scope that owns it, by a share of it, or nothing. */
export type Standing = 'platform' | 'admin' | 'operator' | 'viewer' | 'share admin' | 'share operator' | 'share viewer' | 'none';

/** A status, and the code of an error. */
type Answer = string;

/** What a route answers to whom. */
export interface RouteRow {
  /** Whose credential it takes; `enrolment` routes also take none. */
  readonly takes: 'anyone' | 'user' | 'device' | 'enrolment';
  readonly object?: ObjectKind;
  /** Without an object: to whoever gets in. With one: by standing; `none` is `404 not_found` unless it says otherwise. */
  readonly answers: Answer | Readonly<Partial<Record<Standing, Answer>>>;
  /** Cells that differ, and why is said beside them. `all`: whatever the object. */
  readonly but?: Readonly<Partial<Record<PrincipalName, Readonly<Partial<Record<Whose | 'all', Answer>>>>>>;
  /** Second parameter of the path. */
  readonly second?: string;
  readonly query?: string;
  readonly body?: (principal: PrincipalName, whose: Whose | null) => unknown;
  /**
   * What a call that succeeds needs, so that the next one finds the same world: `fresh`: an object of its own; `share`, `member`: the guest
   * has a share of the device, or is a member; `secret`: the scope has the secret that `second` names.
   */
  readonly first?: 'fresh' | 'share' | 'member' | 'secret';
}

const NO = '403 forbidden';
const HIDDEN = '404 not_found';
/** A person who gets a share or a membership, and has nothing else. */
export const GUEST = 'guest@key.example';
/** A secret that every scope of the world has. */
export const SECRET = 'MATRIX_SECRET';
let made = 0;

/** Who sees the device may do it. */
const toSee = (status: string) => ({
  platform: status,
  admin: status,
  operator: status,
  viewer: status,
  'share admin': status,
  'share operator': status,
  'share viewer': status,
});
/** Admins of the owner and by a share. */
const toAdminsOfDevice = (status: string) => ({
  ...toSee(NO),
  platform: status,
  admin: status,
  'share admin': status,
});
/** Admins of the owner alone: shares do not count. */
const toAdminsOfOwner = (status: string) => ({ ...toAdminsOfDevice(status), 'share admin': NO });
/** Whoever holds the scope, in whatever role. */
const toHolders = (status: string) => ({ platform: status, admin: status, operator: status, viewer: status });
/** Admins of the scope. */
const toAdmins = (status: string) => ({ platform: status, admin: status, operator: NO, viewer: NO });
/** Admins of the scope; the others do not see that it exists. */
const toAdminsAlone = (status: string) => ({ platform: status, admin: status, operator: HIDDEN, viewer: HIDDEN });
/** Platform admins; nobody else learns what exists. */
const toPlatform = (status: string) => ({ platform: status, admin: NO, none: NO });

/** Nobody gives, or takes back, more than they have: for who is limited to exec a share without that limit is out of reach. */
const LIMITED_SHARING = {
  'key for exec': { own: NO },
  'key of an org admin for exec': { own: NO, org: NO },
  'share admin for exec': { lent: NO },
} as const;
/** What concerns all that a scope owns is not for a key that may use a part of it: neither on one's own scope nor on an organisation's. */
const NOT_BY_LIMITED_KEYS = {
  'key for exec': { own: NO },
  'key for one device': { own: NO },
  'key of an org admin for exec': { own: NO, org: NO },
} as const;
/** A key with limits sees the keys of its user alone. */
const HIDDEN_FROM_LIMITED_KEYS = { 'key of an org admin for exec': { org: HIDDEN } } as const;
/** A device goes only to a scope that one is admin of as well: here acme. */
const OWN_ONLY_BY_ADMINS_OF_ACME = Object.fromEntries(
  PRINCIPAL_NAMES.filter((name) => rowOf(name).platform !== true && name !== 'org admin').map((name) => [name, { own: NO }]),
);
/** A key would outlive the key that made it; a token made of a key is no better. */
const NOT_BY_KEYS = {
  'user by rescue key': { all: NO },
  'user by own key': { all: NO },
  'key for exec': { all: NO },
  'key for one device': { all: NO },
  'key of an org admin for exec': { all: NO },
  'share viewer': { all: NO },
  'share operator': { all: NO },
} as const;
/** Tokens are made of logins and keys, not of tokens: one could be renewed for ever. */
const NOT_BY_TOKENS = { 'user by JWT': { all: NO }, 'org operator': { all: NO }, 'share operator': { all: NO } } as const;

/** Every route of the API. One that is added and not put here fails the test that compares this with /openapi.json. */
export const ROUTES: Readonly<Record<string, RouteRow>> = Object.freeze({
  'GET /healthz': { takes: 'anyone', answers: '200' },
  'GET /readyz': { takes: 'anyone', answers: '200' },
  'GET /metrics': { takes: 'anyone', answers: '200' },
  'GET /v1/login-methods': { takes: 'anyone', answers: '200' },
  'GET /v1/me': { takes: 'user', answers: '200' },
  'POST /v1/auth/token': { takes: 'user', answers: '200', but: NOT_BY_TOKENS },

  'GET /v1/devices': { takes: 'user', answers: '200' },
  'GET /v1/devices/{device}': { takes: 'user', object: 'device', answers: toSee('200') },
  'PATCH /v1/devices/{device}': { takes: 'user', object: 'device', answers: toAdminsOfDevice('200'), body: () => ({ name: 'renamed' }) },
  'DELETE /v1/devices/{device}': {
    takes: 'user',
    object: 'device',
    answers: toAdminsOfOwner('204'),
    // The device made anew is another one than that for which the key is.
    but: { 'key for one device': { own: HIDDEN } },
    first: 'fresh',
  },
  'POST /v1/devices/{device}/rotate': { takes: 'user', object: 'device', answers: toAdminsOfOwner('200') },
  'POST /v1/devices/{device}/transfer': {
    takes: 'user',
    object: 'device',
    answers: toAdminsOfOwner('200'),
    but: { ...OWN_ONLY_BY_ADMINS_OF_ACME, 'key of an org admin for exec': { own: NO, org: NO } },
    body: (principal, whose) => ({ owner: whose === 'own' ? 'org:acme' : ownScopeOf(principal) }),
    first: 'fresh',
  },
  'GET /v1/devices/{device}/sessions': { takes: 'user', object: 'device', answers: toSee('200') },
  'GET /v1/devices/{device}/access': { takes: 'user', object: 'device', answers: toAdminsOfDevice('200') },
  'PUT /v1/devices/{device}/access/{scope}': {
    takes: 'user',
    object: 'device',
    answers: toAdminsOfDevice('200'),
    but: LIMITED_SHARING,
    second: `user:${GUEST}`,
    body: () => ({ role: 'operator' }),
  },
  'DELETE /v1/devices/{device}/access/{scope}': {
    takes: 'user',
    object: 'device',
    answers: toAdminsOfDevice('204'),
    but: LIMITED_SHARING,
    second: `user:${GUEST}`,
    first: 'share',
  },
  'DELETE /v1/sessions/{id}': { takes: 'user', object: 'session', answers: toAdminsOfDevice('202'), first: 'fresh' },

  'GET /v1/registrations': { takes: 'user', answers: '200' },
  'POST /v1/registrations': {
    takes: 'enrolment',
    answers: '201',
    body: () => registrationBody(createIdentity(), { name: 'asked', owner: 'org:acme' }),
  },
  'POST /v1/registrations/{id}/approve': {
    takes: 'user',
    object: 'registration',
    answers: toAdmins('200'),
    but: NOT_BY_LIMITED_KEYS,
    first: 'fresh',
  },
  'POST /v1/registrations/{id}/reject': {
    takes: 'user',
    object: 'registration',
    answers: toAdmins('200'),
    but: NOT_BY_LIMITED_KEYS,
    first: 'fresh',
  },
  'POST /v1/registrations/{id}/claim': {
    takes: 'anyone',
    object: 'registration',
    // The signature is the only credential, and this one is wrong.
    answers: '401 proof_invalid',
    body: () => ({ device_id: '0'.repeat(32), signature: 'AAAA' }),
  },

  'GET /v1/orgs': { takes: 'user', answers: '200' },
  'POST /v1/orgs': {
    takes: 'user',
    answers: NO,
    but: { 'platform admin': { all: '201' }, 'platform admin by e-mail': { all: '201' } },
    body: () => ({ id: `new-${(made += 1)}` }),
  },
  'GET /v1/orgs/{id}': { takes: 'user', object: 'org', answers: toHolders('200') },
  'DELETE /v1/orgs/{id}': { takes: 'user', object: 'org', answers: toAdmins('204'), but: NOT_BY_LIMITED_KEYS, first: 'fresh' },
  'GET /v1/orgs/{id}/members': { takes: 'user', object: 'org', answers: toHolders('200') },
  'PUT /v1/orgs/{id}/members/{email}': {
    takes: 'user',
    object: 'org',
    answers: toAdmins('200'),
    but: NOT_BY_LIMITED_KEYS,
    second: GUEST,
    body: () => ({ role: 'viewer' }),
  },
  'DELETE /v1/orgs/{id}/members/{email}': {
    takes: 'user',
    object: 'org',
    answers: toAdmins('204'),
    but: NOT_BY_LIMITED_KEYS,
    second: GUEST,
    first: 'member',
  },

  'GET /v1/keys': { takes: 'user', answers: '200' },
  'POST /v1/keys': { takes: 'user', answers: '201', but: NOT_BY_KEYS, body: keyBody },
  'GET /v1/keys/{id}': { takes: 'user', object: 'key', answers: toAdminsAlone('200'), but: HIDDEN_FROM_LIMITED_KEYS },
  'DELETE /v1/keys/{id}': {
    takes: 'user',
    object: 'key',
    answers: toAdminsAlone('204'),
    but: { ...NOT_BY_LIMITED_KEYS, 'key of an org admin for exec': { own: NO, org: HIDDEN } },
    first: 'fresh',
  },

  'GET /v1/secrets': { takes: 'user', answers: '200' },
  'PUT /v1/secrets/{scope}/{name}': {
    takes: 'user',
    object: 'scope',
    answers: toAdmins('200'),
    but: NOT_BY_LIMITED_KEYS,
    second: SECRET,
    body: () => ({ value: 'of the matrix' }),
  },
  'DELETE /v1/secrets/{scope}/{name}': {
    takes: 'user',
    object: 'scope',
    answers: toAdmins('204'),
    but: NOT_BY_LIMITED_KEYS,
    second: SECRET,
    first: 'secret',
  },

  'GET /v1/users': {
    takes: 'user',
    answers: NO,
    but: { 'platform admin': { all: '200' }, 'platform admin by e-mail': { all: '200' } },
  },
  'GET /v1/users/{id}': { takes: 'user', object: 'user', answers: toPlatform('200') },
  'PATCH /v1/users/{id}': { takes: 'user', object: 'user', answers: toPlatform('200'), body: () => ({ disabled: false }) },

  // The trail is divided by owner, not by device.
  'GET /v1/audit': { takes: 'user', answers: '200', but: { 'key for one device': { all: NO } } },

  // Without an upgrade: whoever gets so far was let in.
  'GET /v1/links/device': { takes: 'device', answers: '400 protocol_error' },
  'GET /v1/links/client': { takes: 'user', answers: '400 protocol_error' },
} as const satisfies Record<string, RouteRow>);

function ownScopeOf(principal: PrincipalName): string {
  const email = emailOf(principal);
  return email === null ? 'org:guild' : `user:${email}`;
}

/** The admin's key has no scopes of its own that a new one could be bounded by. */
function keyBody(principal: PrincipalName): unknown {
  return principal === 'platform admin' ? { name: 'made', scopes: [{ scope: 'org:acme', role: 'viewer' }] } : { name: 'made' };
}

/** How a kind of stream is opened, and what is answered to whom. */
export interface StreamRow {
  readonly protocol: string;
  readonly body: JsonObject;
  /** By standing; `none` is `not_found`. */
  readonly answers: Readonly<Partial<Record<Standing, string>>>;
  readonly but?: Readonly<Partial<Record<PrincipalName, Readonly<Partial<Record<Whose, string>>>>>>;
}

const TO_OPERATORS = Object.freeze({
  platform: 'accepted',
  admin: 'accepted',
  operator: 'accepted',
  viewer: 'forbidden',
  'share admin': 'accepted',
  'share operator': 'accepted',
  'share viewer': 'forbidden',
});

/** Of whoever may do nothing but exec. */
const NOT_FOR_EXEC: NonNullable<StreamRow['but']> = Object.freeze({
  'key for exec': { own: 'forbidden', org: 'forbidden' },
  'key of an org admin for exec': { own: 'forbidden', org: 'forbidden' },
  'share admin for exec': { lent: 'forbidden' },
});

/** Every kind of stream. One that is added and not put here fails the test that compares this with the plugins there are. */
export const STREAMS: Readonly<Record<string, StreamRow>> = Object.freeze({
  exec: { protocol: '/exec/1', body: { argv: ['true'], stdin: false }, answers: TO_OPERATORS },
  files: { protocol: '/files/1', body: { operation: 'list', path: '' }, answers: TO_OPERATORS, but: NOT_FOR_EXEC },
  forward: {
    protocol: '/forward/1',
    body: { target: { kind: 'tcp', host: 'localhost', port: 80 } },
    answers: TO_OPERATORS,
    but: NOT_FOR_EXEC,
  },
  shell: { protocol: '/shell/1', body: { cols: 80, rows: 24, term: 'xterm' }, answers: TO_OPERATORS, but: NOT_FOR_EXEC },
});
