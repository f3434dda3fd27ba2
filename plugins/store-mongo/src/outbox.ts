import { randomUUID } from 'node:crypto';
import type { Revocation, RevocationNotice } from '@towline/contract';
import type { Collection } from 'mongodb';
import { appendRevocation } from './append-revocation.ts';
import type { Database } from './database.ts';
import type { Stored } from './shapes.ts';
import { scopeOfOrganisation } from './visibility.ts';

/**
 * What follows a change, written by the change itself into the document it changes: one write of one document decides
 * all or nothing. Whoever finds an entry carries it out; doing so twice is doing it once. So a process that dies in
 * between leaves nothing half done for longer than until the next look.
 */
export interface OutboxEntry {
  /** Names the change. A revocation bears it, so that there is only one. */
  readonly op: string;
  /**
   * `revoke`: the keys of the device, which goes after that. `move`: what belongs to the device goes to its owner. `forget`: the
   * secrets of the organisation go.
   */
  readonly effect?: 'revoke' | 'move' | 'forget';
  readonly notice?: Omit<Revocation, 'number'>;
}

/** Collections whose documents may have an outbox. */
export type Settled = 'devices' | 'keys' | 'users' | 'organisations';
const SETTLED: readonly Settled[] = ['devices', 'keys', 'users', 'organisations'];

/** A change answers with the document as it is then, for {@link settle}. */
export const AFTER = Object.freeze({ returnDocument: 'after' });

/** An entry for a change. */
export function entryOf(
  about: Pick<Revocation, 'kind' | 'id'>,
  notice: RevocationNotice | undefined,
  effect?: OutboxEntry['effect'],
): OutboxEntry {
  const { at, code, message } = notice ?? {};
  const told = notice && { at: at!, kind: about.kind, id: about.id, code: code!, message: message! };
  return { op: randomUUID(), ...(effect && { effect }), ...(told && { notice: told }) };
}

/** Runs a change of one object; nothing else of this process changes it meanwhile. */
export function inTurn<Value>(database: Database, collection: Settled, id: string, work: () => Promise<Value>): Promise<Value> {
  return database.queue.run(`${collection} ${id}`, work);
}

/** Carries out what waits in one document, oldest first. `known`: as it is now, where that was just read. Only inside {@link inTurn}. */
export async function settle(database: Database, name: Settled, id: string, known?: Stored | null): Promise<void> {
  const collection = database[name];
  let document = known ?? (await collection.findOne({ _id: id }));
  for (;;) {
    const [entry, ...more] = document?.outbox ?? [];
    if (!document || !entry) return;
    if (entry.effect === 'revoke') await revokeKeysOfDevice(database, id, entry);
    if (entry.effect === 'move') await moveBelongings(database, document);
    if (entry.effect === 'forget') await database.secrets.deleteMany({ scope: scopeOfOrganisation(id) });
    if (entry.notice) await appendRevocation(database, { op: entry.op, ...entry.notice });
    const isClosed = await close(collection, document, entry);
    if (isClosed && more.length === 0) return;
    document = await collection.findOne({ _id: id });
  }
}

/** Carries out whatever a process left that died, or that another is about to carry out. */
export async function settleAll(database: Database): Promise<void> {
  for (const name of SETTLED) {
    const waiting = await database[name]
      .find({ 'outbox.op': { $gt: '' } })
      .project({ _id: 1 })
      .toArray();
    for (const { _id } of waiting) await inTurn(database, name, _id, () => settle(database, name, _id));
  }
}

/**
 * Of the keys that it finds while the removal still stands, and of no others: the same id may enrol again as soon as another
 * process has carried this out, and what it has then is not to be touched by one that comes late.
 */
async function revokeKeysOfDevice({ devices, keys }: Database, deviceId: string, { op, notice }: OutboxEntry): Promise<void> {
  const { at, code } = notice!;
  const live = { deviceId, revokedAt: { $exists: false } };
  const found = await keys.find(live).project({ _id: 1 }).toArray();
  if (!(await devices.findOne({ _id: deviceId, 'outbox.0.op': op }))) return;
  const change = { $set: { revokedAt: at, revokedReason: code }, $inc: { revision: 1 } };
  await keys.updateMany({ _id: { $in: found.map(({ _id }) => _id as string) }, ...live }, change);
}

/**
 * To the owner that the device has now. What belongs to it notes the revision of the device whose owner it got, also where it had that
 * owner before: a process that comes late, with an owner that the device had in between, changes nothing.
 */
async function moveBelongings({ keys, registrations, sessions }: Database, { _id, owner, revision }: Stored): Promise<void> {
  const earlier = { deviceId: _id, $or: [{ ownerRevision: { $exists: false } }, { ownerRevision: { $lt: revision } }] };
  const moved = { $set: { owner, ownerRevision: revision } };
  for (const [collection, more] of [
    [keys, {}],
    [registrations, { state: 'pending' }],
    [sessions, {}],
  ] as const) {
    await collection.updateMany({ ...earlier, ...more, owner }, moved);
    await collection.updateMany({ ...earlier, ...more }, collection === sessions ? moved : { ...moved, $inc: { revision: 1 } });
  }
}

/** A change of the owner in between leaves the entry there, and it is carried out again for the new one: false. */
async function close(collection: Collection<Stored>, { _id, owner }: Stored, { op, effect }: OutboxEntry): Promise<boolean> {
  if (effect === 'revoke') return (await collection.deleteOne({ _id, gone: true, 'outbox.op': op })).deletedCount === 1;
  const first = { _id, 'outbox.0.op': op, ...(effect === 'move' && { owner }) };
  return (await collection.updateOne(first, { $pop: { outbox: -1 } } as object)).matchedCount === 1;
}
