import type { ApiKey, Device, Organisation, Revocation, Secret, Store, StoreRecord } from '@towline/contract';
import { type Break, replaceMember } from './break.ts';

/** Stores that break one promise of exports and imports. */
export const transferBreaks: readonly Break[] = [
  {
    promise: 'export: every object comes, kind by kind, as look-ups answer it',
    fault: 'leaves out organisations that were deleted',
    of: (store) =>
      exporting(store, (record) => (record.kind === 'organisation' && (record.value as Organisation).deletedAt ? null : record)),
  },
  {
    promise: 'export: every object comes, kind by kind, as look-ups answer it',
    fault: 'gives absent fields a value',
    of: (store) =>
      exporting(store, (record) =>
        record.kind === 'key' ? { ...record, value: { bounded: false, ...(record.value as ApiKey) } } : record,
      ),
  },
  {
    promise: 'export: every object comes, kind by kind, as look-ups answer it',
    fault: 'leaves out secrets',
    of: (store) => exporting(store, (record) => (record.kind === 'secret' ? null : record)),
  },
  {
    promise: 'export: it goes on over many objects while others write',
    fault: 'ends after the first page',
    of: (store) => {
      let count = 0;
      return exporting(store, (record) => ((count += 1) > 500 ? null : record));
    },
  },
  {
    promise: 'export: it ends when it is aborted, and when nobody reads on',
    fault: 'goes on',
    of: (store) => replaceMember(store, 'export', () => store.export(new AbortController().signal)),
  },
  {
    promise: 'import: an empty store is filled with all of it, as it was',
    fault: 'begins with revision 1',
    of: (store) =>
      importing(store, (record) => ('revision' in record.value ? { ...record, value: { ...record.value, revision: 1 } } : record)),
  },
  {
    promise: 'import: an empty store is filled with all of it, as it was',
    fault: 'leaves out what is open',
    of: (store) => importing(store, (record) => (record.kind === 'session' ? null : record)),
  },
  {
    promise: 'import: an empty store is filled with all of it, as it was',
    fault: 'takes the key of all secrets for the same',
    of: (store) =>
      importing(store, (record) =>
        record.kind === 'secret' ? { ...record, value: { ...(record.value as Secret), keyId: 'first' } } : record,
      ),
  },
  {
    promise: 'import: what is looked up by something else than an id is found',
    fault: 'does not note shares where they are looked up',
    of: (store) => {
      const shared = (device: Device) => device.shares.length > 0;
      const list: Store['devices']['list'] = async (...args) => {
        const { items, next } = await store.devices.list(...args);
        return { items: items.filter((device) => !shared(device)), next };
      };
      return replaceMember(store, 'devices', { ...store.devices, list });
    },
  },
  {
    promise: 'import: numbers, revisions and the trail go on after what was imported',
    fault: 'numbers revocations anew',
    of: (store) => {
      let number = 0;
      return importing(store, (record) =>
        record.kind === 'revocation' ? { ...record, value: { ...(record.value as Revocation), number: (number += 1) } } : record,
      );
    },
  },
  {
    promise: 'import: a store that holds anything refuses, and stays as it is',
    fault: 'adds to what is there',
    of: (store) =>
      replaceMember(store, 'import', async (records) => {
        for await (const { kind, value } of records) if (kind === 'device') await store.devices.insert(value as Device);
      }),
  },
  {
    promise: 'import: a record that does not fit is named, and the store is empty again',
    fault: 'keeps what came before it',
    of: (store) => leavingRemains(store),
  },
  {
    promise: 'import: a record that does not fit is named, and the store is empty again',
    fault: 'passes it over',
    of: (store) => importing(store, (record) => (record.value instanceof Object && typeof record.kind === 'string' ? record : null)),
  },
  {
    promise: 'import: when its source fails or it is aborted the store is empty again',
    fault: 'keeps what came before',
    of: (store) => leavingRemains(store),
  },
];

type Change = (record: StoreRecord) => StoreRecord | null;

async function* changed(records: AsyncIterable<StoreRecord>, change: Change): AsyncGenerator<StoreRecord> {
  for await (const record of records) {
    const other = change(record);
    if (other !== null) yield other;
  }
}

function exporting(store: Store, change: Change): Store {
  return replaceMember(store, 'export', (signal) => changed(store.export(signal), change));
}

function importing(store: Store, change: Change): Store {
  return replaceMember(store, 'import', (records, signal) => store.import(changed(records, change), signal));
}

/** Leaves something behind when it fails. */
function leavingRemains(store: Store): Store {
  return replaceMember(store, 'import', async (records, signal) => {
    try {
      await store.import(records, signal);
    } catch (error) {
      await store.meta.compareAndSet('left', null, 'over');
      throw error;
    }
  });
}
