import { TowlineError } from '@towline/protocol';
import type { IndexDescription } from 'mongodb';
import { CONTENT, type Database } from './database.ts';
import { isRefusal } from './fault.ts';
import { withLock } from './lock.ts';

const VERSION = 'schema';
const IMPORT = 'import';

/** Numbers of the schema before a start and since; 0: there was none. */
export interface SchemaChange {
  readonly from: number;
  readonly to: number;
}

/** A step from one schema to the next. Steps may be carried out again after a crash. */
export type Migration = (database: Database) => Promise<void>;

/** The steps, by the number of the schema that they lead to, less one. The first one's indexes are made at every start. */
export const MIGRATIONS: readonly Migration[] = [async () => undefined];

/** Fields of each index, in order. Every look-up that grows with devices, users or the trail goes by one of them. */
export const INDEXES = {
  devices: [['owner', '_id'], ['shares.scope', '_id'], ['name', '_id'], ['shares.until'], ['outbox.op']],
  registrations: [
    ['owner', 'createdAt', '_id'],
    ['state', 'createdAt', '_id'],
    ['deviceId', 'createdAt', '_id'],
    ['address'],
    ['expiresAt'],
  ],
  keys: [['owner', '_id'], ['deviceId', '_id'], ['userId', '_id'], ['kind', '_id'], ['scopes.scope'], ['outbox.op']],
  users: [['email', '_id'], ['disabledAt'], ['outbox.op']],
  organisations: [['members.email'], ['outbox.op']],
  secrets: [['scope', '_id'], ['keyId']],
  sessions: [
    ['owner', '_id'],
    ['deviceId', '_id'],
  ],
  audit: [
    ['records.owner', '_id'],
    ['records.device', '_id'],
    ['records.session', '_id'],
    ['records.actor', '_id'],
    ['records.email', '_id'],
    ['records.actions', '_id'],
    ['records.at'],
  ],
  revocations: [['op'], ['at']],
} as const satisfies Partial<Record<(typeof CONTENT)[number], readonly (readonly string[])[]>>;

/** One revocation for each change. */
const UNIQUE = new Set(['revocations op']);

/**
 * Brings the database up to date and ends what an import left that was cut short.
 * @throws TowlineError `store_schema` when it was written by a newer version, `data_in_use`.
 */
export async function prepare(database: Database, signal: AbortSignal): Promise<SchemaChange> {
  const to = MIGRATIONS.length;
  const present = await versionOf(database);
  await makeIndexes(database);
  if (present === to && !(await isImporting(database))) return { from: to, to };
  return withLock(database, signal, async ({ confirm }) => {
    if (await isImporting(database)) await clear(database);
    const from = await versionOf(database);
    for (const migration of MIGRATIONS.slice(from)) {
      await confirm();
      await migration(database);
    }
    await confirm();
    await database.schema.updateOne({ _id: VERSION }, { $set: { version: to } }, { upsert: true });
    return { from, to };
  });
}

/** Notes that an import fills the database, which is empty: until its end the content counts for nothing. Under the lock. */
export async function beginImport({ schema }: Database): Promise<void> {
  await schema.insertOne({ _id: IMPORT });
}

/** False when somebody cleared the database meanwhile. */
export async function endImport({ schema }: Database): Promise<boolean> {
  return (await schema.deleteOne({ _id: IMPORT })).deletedCount === 1;
}

/** Deletes all content, and then the note of an import. */
export async function clear(database: Database): Promise<void> {
  for (const name of CONTENT) await database[name].deleteMany({});
  await endImport(database);
}

async function versionOf({ schema }: Database): Promise<number> {
  const version = ((await schema.findOne({ _id: VERSION }))?.version as number | undefined) ?? 0;
  if (version <= MIGRATIONS.length) return version;
  const known = `it has schema ${version}, and this version knows up to ${MIGRATIONS.length}`;
  throw new TowlineError('store_schema', `The database was written by a newer version: ${known}.`);
}

async function isImporting({ schema }: Database): Promise<boolean> {
  return (await schema.findOne({ _id: IMPORT })) !== null;
}

/** Only those that are missing are asked for: not every server takes one that is there. */
async function makeIndexes(database: Database): Promise<void> {
  for (const [collection, indexes] of Object.entries(INDEXES)) {
    const there = await indexNames(database, collection as keyof typeof INDEXES);
    const wanted = (indexes as readonly (readonly string[])[]).map((fields): IndexDescription & { readonly name: string } => {
      const name = fields.join(' ');
      const unique = UNIQUE.has(`${collection} ${name}`);
      return { name, key: Object.fromEntries(fields.map((field) => [field, 1])), ...(unique && { unique }) };
    });
    const absent = wanted.filter(({ name }) => !there.has(name));
    if (absent.length > 0) await database[collection as keyof typeof INDEXES].createIndexes(absent);
  }
}

const NAMESPACE_NOT_FOUND = 26;

async function indexNames(database: Database, collection: keyof typeof INDEXES): Promise<ReadonlySet<unknown>> {
  try {
    return new Set((await database[collection].indexes()).map(({ name }) => name));
  } catch (error) {
    if (isRefusal(error, NAMESPACE_NOT_FOUND)) return new Set();
    throw error;
  }
}
