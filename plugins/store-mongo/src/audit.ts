import type { AuditFilter, AuditRecord, Caller, Page, PageRequest, Store } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Database, Numbered } from './database.ts';
import { isInserted } from './fault.ts';
import { MAX_BATCH_CHARACTERS } from './limits.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { allOf, type Condition, scopesOf } from './visibility.ts';

/** What can be asked for of a record, beside the record to the letter. */
interface Entry {
  readonly number: number;
  readonly at: number;
  /** The action and its first parts: what finds it. */
  readonly actions: readonly string[];
  readonly actor: string;
  readonly email?: string;
  readonly device?: string;
  readonly owner?: string;
  readonly session?: string;
  readonly record: string;
}

/** A record of a page, and the batch where the next page goes on. */
interface Found {
  readonly number: number;
  readonly record: string;
  readonly batchId: number;
}

interface Head {
  readonly number: number;
  readonly hash: string;
}

const NO_HASH = '0'.repeat(64);
/** Batches fetched at once: what the driver takes by itself. */
const MOST_BATCHES = 101;

/**
 * The trail: a document for each batch, with the number of its first record as id. So a batch is there wholly or not
 * at all, and of two that follow one head the database refuses the second.
 */
export function auditRepository(database: Database): Store['audit'] {
  return {
    head: () => headOf(database),
    append: (records) => database.queue.run('audit', () => append(database, records)),
    list: (filter, order, page, caller) => list(database, filter, { ...page, descending: order === 'descending' }, caller),
  };
}

async function headOf({ audit }: Database): Promise<Head | null> {
  const [batch] = await audit.find().sort({ _id: -1 }).limit(1).project({ last: 1, hash: 1 }).toArray();
  return batch ? { number: batch.last as number, hash: batch.hash as string } : null;
}

async function append(database: Database, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  let { number, hash } = (await headOf(database)) ?? { number: 0, hash: NO_HASH };
  for (const record of records) {
    if (record.number !== number + 1 || record.previousHash !== hash) throw movedHead();
    ({ number, hash } = record);
  }
  if (!(await isInserted(database.audit.insertOne(batchOf(records))))) throw movedHead();
}

function movedHead(): TowlineError {
  return new TowlineError('store_conflict', 'The records do not continue the trail.');
}

/** A batch as it is stored. @throws TowlineError `store_failed` when it is larger than a document may be. */
export function batchOf(records: readonly AuditRecord[]): Numbered {
  const entries = records.map(entryOf);
  const size = entries.reduce((sum, { record }) => sum + record.length, 0);
  if (size > MAX_BATCH_CHARACTERS)
    throw new TowlineError('store_failed', undefined, {
      detail: `audit records of ${size} characters at once; ${MAX_BATCH_CHARACTERS} fit`,
    });
  const { number, hash } = records.at(-1)!;
  return { _id: records[0]!.number, last: number, hash, records: entries };
}

/** The records in a document. */
export function recordsOf(batch: Numbered): AuditRecord[] {
  return (batch.records as readonly Entry[]).map(({ record }) => JSON.parse(record) as AuditRecord);
}

function entryOf(record: AuditRecord): Entry {
  const { number, at, action, actor, device, owner, session } = record;
  return {
    ...{ number, at, actions: firstPartsOf(action), actor: actor.id },
    ...(actor.email !== undefined && { email: actor.email }),
    ...(device && { device: device.id }),
    ...(owner !== undefined && { owner }),
    ...(session !== undefined && { session }),
    record: JSON.stringify(record),
  };
}

/** `session.opened` is found by `session` too. */
function firstPartsOf(action: string): string[] {
  const words = action.split('.');
  return words.map((_, n) => words.slice(0, n + 1).join('.'));
}

/** The database finds the batches that may hold what is asked for; of these only the records that are so are read. */
async function list(
  { audit }: Database,
  filter: AuditFilter,
  { descending, ...page }: PageRequest & { readonly descending: boolean },
  caller: Caller,
): Promise<Page<AuditRecord>> {
  const name = `audit.${descending ? 'descending' : 'ascending'}`;
  const [place, batchId] = (startOf(name, page) ?? []) as readonly number[];
  const isAskedFor = matcher(filter, scopesOf(caller), behind(place, descending));
  const from = batchId === undefined ? {} : { _id: descending ? { $lte: batchId } : { $gte: batchId } };
  const batches = audit.find(allOf(...conditionsOf(filter, caller), from)).sort({ _id: descending ? -1 : 1 });
  const found: Found[] = [];
  // Nearly every batch that the database finds gives a record or more: no more of them are fetched at once than fill the page.
  for await (const { _id, records } of batches.batchSize(Math.min(page.limit + 1, MOST_BATCHES))) {
    const entries = (records as readonly Entry[]).filter(isAskedFor).map(({ number, record }) => ({ number, record, batchId: _id }));
    found.push(...(descending ? entries.reverse() : entries));
    if (found.length > page.limit) break;
  }
  const { items, next } = cutPage(name, found, page.limit, (one) => [one.number, one.batchId]);
  return { items: items.map(({ record }) => JSON.parse(record) as AuditRecord), next };
}

function behind(place: number | undefined, descending: boolean): (number: number) => boolean {
  if (place === undefined) return () => true;
  return descending ? (number) => number < place : (number) => number > place;
}

/** What a batch with such a record fulfils; it may be fulfilled by several records together. */
function conditionsOf({ deviceId, session, actor, action, since, until }: AuditFilter, caller: Caller): Condition[] {
  const scopes = scopesOf(caller);
  return [
    scopes === null ? {} : { 'records.owner': { $in: scopes } },
    deviceId === undefined ? {} : { 'records.device': deviceId },
    session === undefined ? {} : { 'records.session': session },
    actor === undefined ? {} : { $or: [{ 'records.actor': actor }, { 'records.email': actor }] },
    action === undefined ? {} : { 'records.actions': action },
    since === undefined ? {} : { 'records.at': { $gte: since } },
    until === undefined ? {} : { 'records.at': { $lt: until } },
  ];
}

function matcher(
  { deviceId, session, actor, action, since, until }: AuditFilter,
  scopes: readonly string[] | null,
  isBehind: (number: number) => boolean,
): (entry: Entry) => boolean {
  const visible = scopes && new Set<string | undefined>(scopes);
  const checks: readonly ((entry: Entry) => boolean)[] = [
    ({ number }) => isBehind(number),
    ...(visible ? [({ owner }: Entry) => owner !== undefined && visible.has(owner)] : []),
    ...(deviceId === undefined ? [] : [({ device }: Entry) => device === deviceId]),
    ...(session === undefined ? [] : [(entry: Entry) => entry.session === session]),
    ...(actor === undefined ? [] : [(entry: Entry) => entry.actor === actor || entry.email === actor]),
    ...(action === undefined ? [] : [({ actions }: Entry) => actions.includes(action)]),
    ...(since === undefined ? [] : [({ at }: Entry) => at >= since]),
    ...(until === undefined ? [] : [({ at }: Entry) => at < until]),
  ];
  return (entry) => checks.every((check) => check(entry));
}
