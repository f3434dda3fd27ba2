import type { Caller, PageRequest, Secret, SecretChange, SecretEntry, Store } from '@towline/contract';
import { type Scope, TowlineError } from '@towline/protocol';
import type { Document } from 'mongodb';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { MAX_NOT_UNDER } from './limits.ts';
import { cutPage, startOf } from './page-cursor.ts';
import type { Stored } from './shapes.ts';
import { allOf, visibleTo } from './visibility.ts';

const LIST = 'secrets';
const FIELDS = ['scope', 'name', 'keyId', 'sealed', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy', 'revision'] as const;
const CHANGEABLE = ['sealed', 'keyId', 'updatedAt', 'updatedBy'] as const satisfies readonly (keyof SecretChange)[];

type Secrets = Store['secrets'];

/** Secrets of users, one document each, as the kernel encrypted them. */
export function secretRepository(database: Database): Secrets {
  const { secrets } = database;
  return {
    get: async (scope, name, caller) => read(await secrets.findOne(place({ scope, name }, caller))),
    list: async ({ scope }, page, caller) => {
      const found = await findPage(database, { scope, page, caller });
      return cutPage(LIST, found.map(fromSecretDocument), page.limit, (secret) => [idOf(secret)]);
    },
    listEntries: async ({ scope }, page, caller) => {
      const found = await findPage(database, { scope, page, caller, without: 'sealed' });
      return cutPage(LIST, found.map(entryOf), page.limit, (entry) => [idOf(entry)]);
    },
    insert: (secret) => isInserted(secrets.insertOne(toSecretDocument({ ...secret, revision: 1 }))),
    update: (scope, name, change, revision, caller) =>
      inTurn(database, { scope, name }, () => update(database, { scope, name, revision }, change, caller)),
    remove: (scope, name, caller) =>
      inTurn(database, { scope, name }, async () => (await secrets.deleteOne(place({ scope, name }, caller))).deletedCount === 1),
    count: (scope) => secrets.countDocuments({ scope }),
    listNotUnder: async (keyId) => {
      // No index serves the unequal.
      const others = secrets.find({ $or: [{ keyId: { $lt: keyId } }, { keyId: { $gt: keyId } }] });
      return (await others.limit(MAX_NOT_UNDER).toArray()).map(fromSecretDocument);
    },
  };
}

/** A secret as it is stored. */
export function toSecretDocument(secret: Secret): Stored {
  return { _id: idOf(secret), ...Object.fromEntries(FIELDS.map((field) => [field, secret[field]])) };
}

/** The secret in a document. */
export function fromSecretDocument(document: Document): Secret {
  return Object.fromEntries(FIELDS.map((field) => [field, document[field]])) as unknown as Secret;
}

function entryOf(document: Document): SecretEntry {
  const { sealed: _notRead, ...entry } = fromSecretDocument(document);
  return entry;
}

interface PageOfSecrets {
  readonly scope: Scope | undefined;
  readonly page: PageRequest;
  readonly caller: Caller;
  /** A field that is not read. */
  readonly without?: (typeof FIELDS)[number];
}

function findPage({ secrets }: Database, { scope, page, caller, ...projection }: PageOfSecrets): Promise<Stored[]> {
  const [after] = startOf(LIST, page) ?? [];
  const conditions = allOf(visibleTo(caller, 'scope'), scope === undefined ? {} : { scope });
  return findById(secrets, conditions, { after: after as string | undefined, limit: page.limit, ...projection });
}

type Place = Pick<Secret, 'scope' | 'name'>;

/** In the order of scope, then name: no character sorts before the one between them. */
function idOf({ scope, name }: Place): string {
  return `${scope}\0${name}`;
}

function place(at: Place, caller: Caller) {
  return allOf({ _id: idOf(at) }, visibleTo(caller, 'scope'));
}

function read(document: Stored | null): Secret | null {
  return document && fromSecretDocument(document);
}

function inTurn<Value>({ queue }: Database, at: Place, work: () => Promise<Value>): Promise<Value> {
  return queue.run(`secrets ${idOf(at)}`, work);
}

async function update(
  { secrets }: Database,
  { revision, ...at }: Place & Pick<Secret, 'revision'>,
  change: SecretChange,
  caller: Caller,
): Promise<Secret> {
  const fields = CHANGEABLE.filter((field) => change[field] !== undefined).map((field) => [field, change[field]]);
  const changed = await secrets.findOneAndUpdate(
    allOf(place(at, caller), { revision }),
    { $set: Object.fromEntries(fields), $inc: { revision: 1 } } as object,
    { returnDocument: 'after' },
  );
  if (changed) return fromSecretDocument(changed);
  if (await secrets.findOne(place(at, caller))) throw new TowlineError('store_conflict', 'The secret was changed in between.');
  throw new TowlineError('not_found', 'No such secret, or it is not yours to see.');
}
