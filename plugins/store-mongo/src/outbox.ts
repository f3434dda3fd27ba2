import { randomUUID } from 'node:crypto';
import type { Revocation, RevocationNotice } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Collection } from 'mongodb';
import type { Database } from './database.ts';
import { isInserted } from './fault.ts';
import { NUMBER_MS } from './limits.ts';
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

/** Carries out what waits in one document, oldest first. Only inside {@link inTurn}. */
export async function settle(database: Database, name: Settled, id: string): Promise<void> {
  const collection = database[name];
  for (;;) {
    const document = await collection.findOne({ _id: id });
    const entry = document?.outbox?.[0];
    if (!document || !entry) return;
    if (entry.effect === 'revoke') await revokeKeysOfDevice(database, id, entry);
    if (entry.effect === 'move') await moveBelongings(database, document);
    if (entry.effect === 'forget') await database.secrets.deleteMany({ scope: scopeOfOrganisation(id) });
    if (entry.notice) await appendRevocation(database, entry.op, entry.notice);
    await close(collection, document, entry);
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

/** Number of the last revocation. The last one always stays in the database, hidden when it was deleted. */
export async function lastRevocation({ revocations }: Database): Promise<number> {
  const [last] = await revocations.find().sort({ _id: -1 }).limit(1).project({ _id: 1 }).toArray();
  return last?._id ?? 0;
}

/**
 * Whoever inserts a number first has it; the other takes the next. A second one of the same change is refused by the index of `op`.
 * A number that is taken but not yet with a majority is not seen: then the same one is tried for again, and no number is left out.
 */
async function appendRevocation(database: Database, op: string, notice: Omit<Revocation, 'number'>): Promise<void> {
  await database.queue.run('revocations', async () => {
    const until = performance.now() + NUMBER_MS;
    while (performance.now() < until) {
      const number = (await lastRevocation(database)) + 1;
      if (await isInserted(database.revocations.insertOne({ _id: number, op, ...notice }))) return;
      if (await database.revocations.findOne({ op })) return;
    }
    throw new TowlineError('store_failed', undefined, { detail: 'the next number of a revocation is taken, and not with a majority' });
  });
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

/** A change of the owner in between leaves the entry there, and it is carried out again for the new one. */
async function close(collection: Collection<Stored>, { _id, owner }: Stored, { op, effect }: OutboxEntry): Promise<void> {
  if (effect === 'revoke') await collection.deleteOne({ _id, gone: true, 'outbox.op': op });
  else await collection.updateOne({ _id, 'outbox.0.op': op, ...(effect === 'move' && { owner }) }, { $pop: { outbox: -1 } } as object);
}
