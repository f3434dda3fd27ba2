import type { Caller, Device, DeviceChange, RevocationNotice, Store } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { MAX_ENDED } from './limits.ts';
import { AFTER, entryOf, inTurn, settle } from './outbox.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { deviceShape, type Stored } from './shapes.ts';
import { allOf, type Condition, reachableBy } from './visibility.ts';

const LIST = 'devices';
const CHANGEABLE = ['name', 'owner', 'shares', 'facts', 'publicKey', 'fingerprint'] as const satisfies readonly (keyof DeviceChange)[];
/** The last character of Unicode: every id that begins with a prefix sorts before the prefix with it. */
const LAST_CHARACTER = '\u{10ffff}';

type Devices = Store['devices'];

/** Enrolled devices, one document each, shares included. */
export function deviceRepository(database: Database): Devices {
  const { devices } = database;
  return {
    get: async (id, caller) => read(await find(database, id, caller)),
    list: async (filter, page, caller) => {
      const [after] = startOf(LIST, page) ?? [];
      const conditions = allOf(reachableBy(caller), conditionsOf(filter));
      const found = await findById(devices, conditions, { after: after as string | undefined, limit: page.limit });
      return cutPage(LIST, found.map(deviceShape.fromDocument), page.limit, ({ id }) => [id]);
    },
    listWithEndedShares: async (now) => {
      const found = await devices
        .find({ 'shares.until': { $lte: now } })
        .limit(MAX_ENDED)
        .toArray();
      return found.map(deviceShape.fromDocument);
    },
    insert: (device) => inTurn(database, 'devices', device.id, () => insert(database, device)),
    update: (id, change, revision, caller, notice) =>
      inTurn(database, 'devices', id, () => update(database, { id, revision, caller }, change, notice)),
    touch: (id, { at, address }) =>
      inTurn(database, 'devices', id, async () => {
        await devices.updateOne({ _id: id, gone: { $exists: false } }, { $set: { lastSeenAt: at, lastAddress: address } });
      }),
    remove: (id, notice, caller) => inTurn(database, 'devices', id, () => remove(database, { id, caller }, notice)),
  };
}

function conditionsOf({ name, idPrefix, owner }: Parameters<Devices['list']>[0]): Condition {
  return allOf(
    name === undefined ? {} : { name },
    owner === undefined ? {} : { owner },
    idPrefix === undefined ? {} : { _id: { $gte: idPrefix, $lt: `${idPrefix}${LAST_CHARACTER}` } },
  );
}

function find({ devices }: Database, id: string, caller: Caller): Promise<Stored | null> {
  return devices.findOne(allOf({ _id: id }, reachableBy(caller)));
}

function read(document: Stored | null): Device | null {
  return document && deviceShape.fromDocument(document);
}

/** What a removal left that was cut short has the id still: it is ended first. */
async function insert(database: Database, device: Device): Promise<boolean> {
  const document = deviceShape.toDocument({ ...device, revision: 1 });
  if (await isInserted(database.devices.insertOne(document))) return true;
  if (!(await database.devices.findOne({ _id: device.id, gone: true }))) return false;
  await settle(database, 'devices', device.id);
  return isInserted(database.devices.insertOne(document));
}

interface Place {
  readonly id: string;
  readonly caller: Caller;
}

async function update(
  database: Database,
  { id, revision, caller }: Place & { readonly revision: number },
  change: DeviceChange,
  notice: RevocationNotice | undefined,
): Promise<Device> {
  const present = await find(database, id, caller);
  if (!present) throw new TowlineError('not_found', 'No such device, or it is not yours to see.');
  const fields = CHANGEABLE.filter((field) => change[field] !== undefined).map((field) => [field, change[field]]);
  const moves = change.owner !== undefined && change.owner !== present.owner;
  const follows = notice !== undefined || moves;
  const entry = entryOf({ kind: 'access', id }, notice, moves ? 'move' : undefined);
  const changed = await database.devices.findOneAndUpdate(
    allOf({ _id: id, revision }, reachableBy(caller)),
    {
      ...(fields.length > 0 && { $set: Object.fromEntries(fields) }),
      $inc: { revision: 1 },
      ...(follows && { $push: { outbox: entry } }),
    } as object,
    AFTER,
  );
  if (!changed) throw new TowlineError('store_conflict', 'The device was changed in between.');
  if (follows) await settle(database, 'devices', id, changed);
  return deviceShape.fromDocument(changed);
}

/** The document that takes the place of the device holds only what must follow; it goes when that is done. */
async function remove(database: Database, { id, caller }: Place, notice: RevocationNotice): Promise<boolean> {
  for (;;) {
    const present = await find(database, id, caller);
    if (!present || present.gone) return false;
    if (present.outbox?.length) await settle(database, 'devices', id);
    const idle = { 'outbox.0': { $exists: false } };
    const left = { gone: true, outbox: [entryOf({ kind: 'device', id }, notice, 'revoke')] };
    const removed = await database.devices.findOneAndReplace(allOf({ _id: id }, reachableBy(caller), idle), left, AFTER);
    if (!removed) continue;
    await settle(database, 'devices', id, removed);
    return true;
  }
}
