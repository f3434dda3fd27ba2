import {
  type ApiKey,
  type AuditRecord,
  type Device,
  type Membership,
  type OpenSession,
  type Organisation,
  type Registration,
  type Revocation,
  type Secret,
  STORE_RECORD_KINDS,
  type StoreRecord,
  storeRecordFault,
  type User,
} from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Collection, Document } from 'mongodb';
import { batchOf, recordsOf } from './audit.ts';
import { CONTENT, type Database, type Numbered } from './database.ts';
import { isDuplicate, toStoreError } from './fault.ts';
import { IMPORT_BATCH } from './limits.ts';
import { type HeldLock, withLock } from './lock.ts';
import { settleAll } from './outbox.ts';
import { fromRevocationDocument } from './revocations.ts';
import { beginImport, clear, endImport } from './schema.ts';
import { fromSecretDocument, toSecretDocument } from './secrets.ts';
import { fromSessionDocument, toSessionDocument } from './sessions.ts';
import { byAddress, deviceShape, keyShape, type Member, organisationShape, registrationShape, userShape } from './shapes.ts';

type Kind = StoreRecord['kind'];
type Collected = (typeof CONTENT)[number];

/** What of a kind is in the database: its collection, and the objects in a document. */
const KINDS: Readonly<Record<Kind, readonly [collection: Collected, read: (document: Document) => readonly object[]]>> = {
  meta: ['meta', ({ _id, value }) => [{ name: _id, value }]],
  user: ['users', (document) => [userShape.fromDocument(document)]],
  organisation: ['organisations', (document) => [organisationShape.fromDocument(document)]],
  membership: ['organisations', membersIn],
  secret: ['secrets', (document) => [fromSecretDocument(document)]],
  device: ['devices', (document) => (document.gone ? [] : [deviceShape.fromDocument(document)])],
  registration: ['registrations', (document) => [registrationShape.fromDocument(document)]],
  key: ['keys', (document) => [keyShape.fromDocument(document)]],
  session: ['sessions', (document) => [fromSessionDocument(document as never)]],
  revocation: ['revocations', (document) => (document.hidden ? [] : [fromRevocationDocument(document)])],
  audit: ['audit', (document) => recordsOf(document as Numbered)],
};

/** Ids are texts or numbers: what is done with all collections alike does not look at them. */
function contentOf(database: Database, name: Collected): Collection<Document> {
  return database[name] as unknown as Collection<Document>;
}

function membersIn({ _id, members }: Document): object[] {
  return byAddress(members as readonly Member[]).map(({ email, role, addedAt, addedBy }) => ({ org: _id, email, role, addedAt, addedBy }));
}

/** Every object, kind by kind, within a kind in the order of the ids. */
export async function* exportRecords(database: Database, signal: AbortSignal): AsyncGenerator<StoreRecord> {
  try {
    await settleAll(database);
    for (const kind of STORE_RECORD_KINDS) {
      const [collection, read] = KINDS[kind];
      for await (const document of contentOf(database, collection).find().sort({ _id: 1 })) {
        signal.throwIfAborted();
        for (const value of read(document)) yield { kind, value };
      }
    }
  } catch (error) {
    throw signal.aborted ? error : toStoreError(error);
  }
}

/** Fills an empty database. Where that is cut short, all is deleted again: at once, or at the next start. */
export async function importRecords(database: Database, records: AsyncIterable<StoreRecord>, signal: AbortSignal): Promise<void> {
  const failed: { error?: unknown } = {};
  try {
    await withLock(database, signal, (lock) => fill(database, noting(records, failed, signal), { lock, signal }));
  } catch (error) {
    throw signal.aborted || ('error' in failed && failed.error === error) ? error : toStoreError(error);
  }
}

/** What the source fails with is told as it is: it is no fault of the store. One that gives nothing is left when the import is aborted. */
async function* noting(records: AsyncIterable<StoreRecord>, failed: { error?: unknown }, signal: AbortSignal): AsyncGenerator<StoreRecord> {
  const source = records[Symbol.asyncIterator]();
  const { promise: aborted, reject } = deferred();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await Promise.race([source.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } catch (error) {
    failed.error = error;
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    void source.return?.().catch(() => undefined);
  }
}

function deferred(): { readonly promise: Promise<never>; readonly reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, refuse) => {
    reject = refuse;
  });
  promise.catch(() => undefined);
  return { promise, reject };
}

interface Running {
  readonly lock: HeldLock;
  readonly signal: AbortSignal;
}

async function fill(database: Database, records: AsyncIterable<StoreRecord>, { lock, signal }: Running): Promise<void> {
  for (const name of CONTENT) {
    if (await contentOf(database, name).findOne({}))
      throw new TowlineError('conflict', 'The store is not empty.', { hint: 'Import into an empty database.' });
  }
  await beginImport(database);
  try {
    for await (const batch of batches(records)) {
      signal.throwIfAborted();
      await lock.confirm();
      await insert(database, batch);
    }
    await lock.confirm();
  } catch (error) {
    // Where this fails too, the next start deletes what is there, or another process has done so by now.
    await undo(database, lock).catch(() => undefined);
    throw error;
  }
  // When the answer is lost nobody knows whether all counts or nothing: then nothing is deleted here.
  if (!(await endImport(database))) throw new TowlineError('data_in_use', 'Another process took the database meanwhile.');
}

/** Not when the lock is lost: what is there then is another's. */
async function undo(database: Database, lock: HeldLock): Promise<void> {
  await lock.confirm();
  await clear(database);
}

interface Batch {
  readonly kind: Kind;
  /** Number of the first record, from 1. */
  readonly first: number;
  readonly values: readonly object[];
}

/** Records of one kind that follow each other, checked for their order. */
async function* batches(records: AsyncIterable<StoreRecord>): AsyncGenerator<Batch> {
  let batch: Batch & { readonly values: object[] } = { kind: 'meta', first: 1, values: [] };
  let number = 0;
  for await (const record of records) {
    number += 1;
    const fault = storeRecordFault(record);
    if (fault !== null) throw misfit(number, fault);
    const { kind, value } = record;
    const place = STORE_RECORD_KINDS.indexOf(kind);
    if (place < STORE_RECORD_KINDS.indexOf(batch.kind)) throw misfit(number, `a record of the kind ${String(kind)} here`);
    if (kind !== batch.kind || batch.values.length >= IMPORT_BATCH) {
      if (batch.values.length > 0) yield batch;
      batch = { kind, first: number, values: [] };
    }
    batch.values.push(value);
  }
  if (batch.values.length > 0) yield batch;
}

function misfit(number: number, what: string): TowlineError {
  return new TowlineError('invalid_request', `Record ${number} of the export does not fit: ${what}.`);
}

async function insert(database: Database, batch: Batch): Promise<void> {
  if (batch.kind === 'membership') return insertMembers(database, batch);
  if (batch.kind === 'audit') return insertTrail(database, batch);
  const documents = batch.values.map((value, n) => documentOf(batch.kind, value, batch.first + n));
  const collection = contentOf(database, KINDS[batch.kind][0]);
  try {
    await collection.insertMany(documents as never[], { ordered: true });
  } catch (error) {
    const index = (error as { readonly writeErrors?: readonly { readonly index: number }[] }).writeErrors?.[0]?.index ?? 0;
    throw isDuplicate(error) ? misfit(batch.first + index, `a second ${batch.kind} of one id`) : error;
  }
}

/** A record without an id would get one from the driver. */
function documentOf(kind: Kind, value: object, number: number): Document {
  const document = toDocument(kind, value);
  const wanted = kind === 'revocation' ? Number.isSafeInteger(document._id) : typeof document._id === 'string';
  if (!wanted) throw misfit(number, `a ${kind} without its ${kind === 'revocation' ? 'number' : kind === 'meta' ? 'name' : 'id'}`);
  return document;
}

function toDocument(kind: Kind, value: object): Document {
  if (kind === 'user') return userShape.toDocument(value as User);
  if (kind === 'device') return deviceShape.toDocument(value as Device);
  if (kind === 'registration') return registrationShape.toDocument(value as Registration);
  if (kind === 'key') return keyShape.toDocument(value as ApiKey);
  if (kind === 'secret') return toSecretDocument(value as Secret);
  if (kind === 'session') return toSessionDocument(value as OpenSession);
  if (kind === 'organisation') return { ...organisationShape.toDocument(value as Organisation), members: [], version: 1 };
  if (kind === 'revocation') {
    const { number, at, kind: about, id, code, message } = value as Revocation;
    return { _id: number, op: `imported ${number}`, at, kind: about, id, code, message };
  }
  const { name, value: text } = value as { readonly name: string; readonly value: string };
  return { _id: name, value: text };
}

/** Members come in the order of their organisations: one write for all of an organisation that come together. */
async function insertMembers({ organisations }: Database, { first, values }: Batch): Promise<void> {
  const memberships = values as readonly Membership[];
  for (let from = 0; from < memberships.length; ) {
    const { org } = memberships[from]!;
    const next = memberships.findIndex((one, n) => n > from && one.org !== org);
    const to = next === -1 ? memberships.length : next;
    const members = memberships.slice(from, to).map(({ email, role, addedAt, addedBy }) => ({ email, role, addedAt, addedBy }));
    const place = { _id: String(org), deletedAt: { $exists: false }, 'members.email': { $nin: members.map(({ email }) => email) } };
    const added = await organisations.updateOne(place, { $push: { members: { $each: members } } } as object);
    if (added.matchedCount === 0) throw misfit(first + from, 'a membership without its organisation, or a second one of one address');
    from = to;
  }
}

async function insertTrail({ audit }: Database, { first, values }: Batch): Promise<void> {
  const records = values as readonly AuditRecord[];
  const [last] = await audit.find().sort({ _id: -1 }).limit(1).project({ last: 1, hash: 1 }).toArray();
  let { number, hash } = { number: (last?.last as number | undefined) ?? 0, hash: (last?.hash as string | undefined) ?? '0'.repeat(64) };
  for (const [n, record] of records.entries()) {
    if (record.number !== number + 1 || record.previousHash !== hash)
      throw misfit(first + n, 'an audit record that does not go on after the one before');
    ({ number, hash } = record);
  }
  for (const part of parts(records)) await audit.insertOne(batchOf(part));
}

const PART_CHARACTERS = 2_000_000;

/** Records for one document each: one record alone may be large. */
function parts(records: readonly AuditRecord[]): AuditRecord[][] {
  const made: AuditRecord[][] = [[]];
  let size = 0;
  for (const record of records) {
    const length = JSON.stringify(record).length;
    if (size + length > PART_CHARACTERS && made.at(-1)!.length > 0) {
      made.push([]);
      size = 0;
    }
    made.at(-1)!.push(record);
    size += length;
  }
  return made;
}
