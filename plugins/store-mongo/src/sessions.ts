import type { Caller, OpenSession, Store } from '@towline/contract';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { cutPage, startOf } from './page-cursor.ts';
import type { Stored } from './shapes.ts';
import { allOf, type Condition, scopesOf } from './visibility.ts';

const LIST = 'sessions';

type Sessions = Store['sessions'];

/** Sessions that are open. What nobody asks for is kept as JSON: names in it may hold any character. */
export function sessionRepository(database: Database): Sessions {
  const { sessions, queue } = database;
  return {
    insert: (session) => isInserted(sessions.insertOne(toSessionDocument(session))),
    get: async (id, caller) => {
      const found = await sessions.findOne({ _id: id });
      return found && (await isVisible(database, found, caller)) ? fromSessionDocument(found) : null;
    },
    list: async ({ deviceId }, page, caller) => {
      const [after] = startOf(LIST, page) ?? [];
      const ofDevice = deviceId === undefined ? {} : { deviceId };
      const conditions = allOf(ofDevice, await visible(database, deviceId, caller));
      const found = await findById(sessions, conditions, { after: after as string | undefined, limit: page.limit });
      return cutPage(LIST, found.map(fromSessionDocument), page.limit, ({ id }) => [id]);
    },
    remove: (id) => queue.run(`sessions ${id}`, async () => (await sessions.deleteOne({ _id: id })).deletedCount === 1),
  };
}

/** A session as it is stored. */
export function toSessionDocument(session: OpenSession): Stored {
  const { id, deviceId, owner, ...rest } = session;
  return { _id: id, deviceId, owner, rest: JSON.stringify(rest) };
}

/** The session in a document. */
export function fromSessionDocument({ _id, deviceId, owner, rest }: Stored): OpenSession {
  const { protocol, actor, address, openedAt, detail, deviceName } = JSON.parse(rest as string) as OpenSession;
  return { id: _id, deviceId, owner, protocol, actor, address, openedAt, detail, deviceName } as OpenSession;
}

async function isVisible(database: Database, { deviceId, owner }: Stored, caller: Caller): Promise<boolean> {
  const scopes = scopesOf(caller);
  if (scopes === null || scopes.includes(owner as string)) return true;
  return (await sharedDevices(database, scopes, deviceId as string)).length > 0;
}

async function visible(database: Database, deviceId: string | undefined, caller: Caller): Promise<Condition> {
  const scopes = scopesOf(caller);
  if (scopes === null) return {};
  const shared = await sharedDevices(database, scopes, deviceId);
  return { $or: [{ owner: { $in: scopes } }, { deviceId: { $in: shared } }] };
}

async function sharedDevices({ devices }: Database, scopes: readonly string[], id: string | undefined): Promise<string[]> {
  const filter = { 'shares.scope': { $in: [...scopes] }, ...(id !== undefined && { _id: id }) };
  const found = await devices.find(filter).project({ _id: 1 }).toArray();
  return found.map(({ _id }) => _id as string);
}
