import type { ApiKey, Device, Membership, OpenSession, Organisation, Registration, Revocation, Secret, User } from './model.ts';
import { ROLES } from './model.ts';
import { STORE_RECORD_KINDS, type StoreRecord } from './store.ts';

/**
 * Version of the shapes in an export. Grows with a kind or field that an older version would not take; records of every earlier
 * schema are taken. 2: secrets.
 */
export const STORE_RECORD_SCHEMA = 2;

/** Answers what is wrong with a value, as the rest of a sentence that begins with its place; null when nothing is. */
type Check = (value: unknown) => string | null;
/** A check for every field of an object; another field is a fault. */
type Shape<Item extends object> = { readonly [Field in keyof Item]-?: Check };

const text: Check = (value) => (typeof value === 'string' ? null : 'is no text');
const integer: Check = (value) => (Number.isSafeInteger(value) ? null : 'is no whole number');
const natural: Check = (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? null : 'is no whole number from 0 on');
const boolean: Check = (value) => (typeof value === 'boolean' ? null : 'is neither true nor false');
const object: Check = (value) => (isObject(value) ? null : 'is no object');
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && words.includes(value) ? null : `is none of ${words.join(', ')}`;
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined ? null : check(value);
const listOf =
  (check: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return 'is no list';
    return firstFault(value.map((item, at) => [`[${at}]`, check(item)] as const));
  };
/** `others`: fields that are not named may be there too. */
const shaped =
  <Item extends object>(shape: Shape<Item>, others = false): Check =>
  (value) => {
    if (!isObject(value)) return 'is no object';
    const unknown = others ? undefined : Object.keys(value).find((field) => !Object.hasOwn(shape, field));
    if (unknown !== undefined) return `.${unknown} is a field that this version does not know`;
    return firstFault(Object.entries<Check>(shape).map(([field, check]) => [`.${field}`, check(value[field])] as const));
  };

const role = oneOf(...ROLES);
const scopeRoles = listOf(shaped({ scope: text, role }));
const share = shaped<Device['shares'][number]>({
  scope: text,
  role,
  streams: optional(listOf(text)),
  until: optional(integer),
  sharedAt: integer,
  sharedBy: text,
});
const facts = shaped<Device['facts']>({ hostname: text, platform: text, arch: text, version: text });
const actor = shaped<OpenSession['actor']>({
  kind: oneOf('user', 'device', 'enrolment', 'nobody', 'operator'),
  id: text,
  label: text,
  email: optional(text),
  provider: optional(text),
  keyId: optional(text),
});

/** The hash of an audit record covers all of it, so it is kept whole; what stores look for is checked. */
const audit = shaped(
  {
    number: natural,
    hash: text,
    previousHash: text,
    at: integer,
    action: text,
    actor,
    outcome: text,
    owner: optional(text),
    session: optional(text),
    device: optional(shaped({ id: text, name: text }, true)),
  },
  true,
);

const CHECKS: Readonly<Record<StoreRecord['kind'], Check>> = {
  meta: shaped({ name: text, value: text }),
  user: shaped<User>({
    id: text,
    label: text,
    email: optional(text),
    provider: text,
    claims: scopeRoles,
    createdAt: integer,
    lastSeenAt: integer,
    disabledAt: optional(integer),
    disabledBy: optional(text),
    revision: natural,
  }),
  organisation: shaped<Organisation>({
    id: text,
    name: text,
    createdAt: integer,
    createdBy: text,
    deletedAt: optional(integer),
    revision: natural,
  }),
  membership: shaped<Membership>({ org: text, email: text, role, addedAt: integer, addedBy: text }),
  secret: shaped<Secret>({
    scope: text,
    name: text,
    keyId: text,
    sealed: text,
    createdAt: integer,
    createdBy: text,
    updatedAt: integer,
    updatedBy: text,
    revision: natural,
  }),
  device: shaped<Device>({
    id: text,
    name: text,
    owner: text,
    shares: listOf(share),
    publicKey: text,
    fingerprint: text,
    facts,
    enrolledAt: integer,
    enrolledBy: text,
    lastSeenAt: optional(integer),
    lastAddress: optional(text),
    revision: natural,
  }),
  registration: shaped<Registration>({
    id: text,
    deviceId: text,
    publicKey: text,
    fingerprint: text,
    owner: text,
    name: text,
    facts,
    address: text,
    state: oneOf('pending', 'approved', 'rejected'),
    createdAt: integer,
    expiresAt: integer,
    decidedAt: optional(integer),
    decidedBy: optional(text),
    reason: optional(text),
    revision: natural,
  }),
  key: shaped<ApiKey>({
    id: text,
    kind: oneOf('user', 'device', 'enrolment'),
    hash: text,
    name: text,
    owner: text,
    userId: optional(text),
    email: optional(text),
    admin: boolean,
    scopes: scopeRoles,
    streams: optional(listOf(text)),
    devices: optional(listOf(text)),
    bounded: optional(boolean),
    deviceId: optional(text),
    remaining: optional(natural),
    createdAt: integer,
    createdBy: text,
    expiresAt: optional(integer),
    lastUsedAt: optional(integer),
    revokedAt: optional(integer),
    revokedReason: optional(text),
    revision: natural,
  }),
  session: shaped<OpenSession>({
    id: text,
    deviceId: text,
    owner: text,
    protocol: text,
    actor,
    address: text,
    openedAt: integer,
    detail: object,
    deviceName: text,
  }),
  revocation: shaped<Revocation>({
    number: natural,
    at: integer,
    kind: oneOf('key', 'device', 'user', 'access', 'membership', 'org'),
    id: text,
    code: text,
    message: text,
  }),
  audit,
};

/**
 * What is wrong with a record of an export by itself, as a sentence without its full stop, or null. Whether it fits to the others,
 * as an id that comes twice, is for the store to find.
 */
export function storeRecordFault(record: unknown): string | null {
  if (!isObject(record)) return 'it is no object';
  const { kind, value } = record;
  if (!STORE_RECORD_KINDS.includes(kind as StoreRecord['kind'])) return `${JSON.stringify(kind) ?? 'nothing'} is no kind of record`;
  const other = Object.keys(record).find((field) => field !== 'kind' && field !== 'value');
  if (other !== undefined) return `${other} is a field that this version does not know`;
  const fault = CHECKS[kind as StoreRecord['kind']](value);
  return fault === null ? null : `${String(kind)}${fault.startsWith('is ') ? ' ' : ''}${fault}`;
}

function firstFault(found: readonly (readonly [place: string, fault: string | null])[]): string | null {
  const [place, fault] = found.find((one) => one[1] !== null) ?? [];
  if (place === undefined || fault === undefined || fault === null) return null;
  return `${place}${fault.startsWith('is ') ? ' ' : ''}${fault}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
