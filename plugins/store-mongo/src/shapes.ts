import type { ApiKey, Device, Membership, Organisation, Registration, User } from '@towline/contract';
import type { Document } from 'mongodb';
import type { OutboxEntry } from './outbox.ts';

/** A document as it is stored: the object's fields by their names, its id as `_id`, and what waits to follow a change. */
export interface Stored extends Document {
  _id: string;
  outbox?: readonly OutboxEntry[];
}

/** A member inside the document of the organisation. */
export type Member = Omit<Membership, 'org'>;

/** Members in the order of their addresses, which is that of the bytes of UTF-8 as in the database. */
export function byAddress(members: readonly Member[]): Member[] {
  return members.toSorted((a, b) => Buffer.compare(Buffer.from(a.email), Buffer.from(b.email)));
}

/** Turns objects of the model into documents and back. */
export interface Shape<Value> {
  readonly fields: readonly string[];
  toDocument(value: Value): Stored;
  fromDocument(document: Document): Value;
}

function shapeOf<Value extends { readonly id: string }>(...names: readonly (keyof Value & string)[]): Shape<Value> {
  const fields = names.filter((name) => name !== 'id');
  return {
    fields,
    toDocument: (value) => {
      const given = fields.filter((field) => value[field] !== undefined).map((field) => [field, value[field]]);
      return { _id: value.id, ...Object.fromEntries(given) };
    },
    fromDocument: (document) => {
      const given = fields.filter((field) => document[field] !== undefined).map((field) => [field, document[field]]);
      return { id: document._id, ...Object.fromEntries(given) } as Value;
    },
  };
}

export const deviceShape = shapeOf<Device>(
  ...(['id', 'name', 'owner', 'shares', 'publicKey', 'fingerprint', 'facts'] as const),
  ...(['enrolledAt', 'enrolledBy', 'lastSeenAt', 'lastAddress', 'revision'] as const),
);
export const registrationShape = shapeOf<Registration>(
  ...(['id', 'deviceId', 'publicKey', 'fingerprint', 'owner', 'name', 'facts', 'address', 'state'] as const),
  ...(['createdAt', 'expiresAt', 'decidedAt', 'decidedBy', 'reason', 'revision'] as const),
);
export const keyShape = shapeOf<ApiKey>(
  ...(['id', 'kind', 'hash', 'name', 'owner', 'userId', 'email', 'admin', 'scopes', 'streams', 'devices', 'bounded'] as const),
  ...(['deviceId', 'remaining', 'createdAt', 'createdBy', 'expiresAt', 'lastUsedAt', 'revokedAt', 'revokedReason', 'revision'] as const),
);
export const userShape = shapeOf<User>(
  ...(['id', 'label', 'email', 'provider', 'claims', 'createdAt', 'lastSeenAt', 'disabledAt', 'disabledBy', 'revision'] as const),
);
export const organisationShape = shapeOf<Organisation>('id', 'name', 'createdAt', 'createdBy', 'deletedAt', 'revision');
