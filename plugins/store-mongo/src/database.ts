import type { Collection, Db, Document } from 'mongodb';
import type { WaitingRevocation } from './append-revocation.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { Stored } from './shapes.ts';
import { allOf, type Condition } from './visibility.ts';

/** A document whose id is a number. */
export interface Numbered extends Document {
  _id: number;
}

/** The collections, and the order of changes of one object in this process. */
export interface Database {
  readonly devices: Collection<Stored>;
  readonly registrations: Collection<Stored>;
  readonly keys: Collection<Stored>;
  readonly users: Collection<Stored>;
  readonly organisations: Collection<Stored>;
  readonly secrets: Collection<Stored>;
  readonly sessions: Collection<Stored>;
  readonly meta: Collection<Stored>;
  readonly audit: Collection<Numbered>;
  readonly revocations: Collection<Numbered>;
  /** What the store notes about the database itself. */
  readonly schema: Collection<Stored>;
  readonly queue: KeyedQueue;
  /** Revocations of this process that wait for their numbers. */
  readonly waiting: WaitingRevocation[];
}

/** Names of the collections that hold objects of the relay. */
export const CONTENT = [
  ...(['devices', 'registrations', 'keys', 'users', 'organisations', 'secrets', 'sessions', 'meta', 'audit', 'revocations'] as const),
];

/** The collections of a database. Does no I/O. */
export function databaseOf(db: Db): Database {
  const objects = (name: string) => db.collection<Stored>(name);
  return {
    devices: objects('devices'),
    registrations: objects('registrations'),
    keys: objects('keys'),
    users: objects('users'),
    organisations: objects('organisations'),
    secrets: objects('secrets'),
    sessions: objects('sessions'),
    meta: objects('meta'),
    audit: db.collection<Numbered>('audit'),
    revocations: db.collection<Numbered>('revocations'),
    schema: objects('schema'),
    queue: new KeyedQueue(),
    waiting: [],
  };
}

/** A page of documents in the order of their ids; one more than the limit, to see whether there is a next page. */
export function findById(
  collection: Collection<Stored>,
  conditions: Condition,
  { after, limit, without }: { readonly after: string | undefined; readonly limit: number; readonly without?: string },
): Promise<Stored[]> {
  const filter = allOf(conditions, after === undefined ? {} : { _id: { $gt: after } });
  return collection
    .find(filter, without === undefined ? {} : { projection: { [without]: 0 } })
    .sort({ _id: 1 })
    .limit(limit + 1)
    .toArray();
}
