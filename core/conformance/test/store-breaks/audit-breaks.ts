import type { AuditFilter, AuditRecord, AuditRepository } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError } from '@towline/protocol';
import { type Break, replace } from './break.ts';

/** A trail that is asked without some parts of the filter and then filtered by a rule of its own. */
function listBy(
  good: AuditRepository,
  omit: keyof AuditFilter,
  keep: (record: AuditRecord, wanted: string) => boolean,
): AuditRepository['list'] {
  return async (filter, order, page, caller) => {
    const { [omit]: wanted, ...rest } = filter;
    const { items, next } = await good.list(rest, order, page, caller);
    return { items: items.filter((record) => wanted === undefined || keep(record, String(wanted))), next };
  };
}

function ignoreConflict(good: AuditRepository): AuditRepository['append'] {
  return async (records) => {
    try {
      await good.append(records);
    } catch (error) {
      if (!isTowlineError(error) || error.code !== 'store_conflict') throw error;
    }
  };
}

/** Stores that break one promise of the audit trail. */
export const auditBreaks: readonly Break[] = [
  {
    promise: 'audit: the head is null at first and then the last record',
    fault: 'answers a head of an empty trail',
    of: (store) => replace(store, 'audit', (good) => ({ head: async () => (await good.head()) ?? { number: 0, hash: '0'.repeat(64) } })),
  },
  {
    promise: 'audit: records are read back to the letter, ascending and descending',
    fault: 'rounds numbers',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        list: async (...args) => {
          const { items, next } = await good.list(...args);
          return { items: items.map((item) => (item.durationMs ? { ...item, durationMs: Math.round(item.durationMs) } : item)), next };
        },
      })),
  },
  {
    promise: 'audit: records whose numbers do not go on after the head are store_conflict',
    fault: 'drops them in silence',
    of: (store) => replace(store, 'audit', (good) => ({ append: ignoreConflict(good) })),
  },
  {
    promise: 'audit: a record that names another hash than that of the record before is store_conflict',
    fault: 'looks at the number only',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        append: async (records) => {
          const head = await good.head();
          const [first, ...rest] = records;
          const linked = first && head && first.number === head.number + 1 ? [{ ...first, previousHash: head.hash }, ...rest] : records;
          return good.append(linked);
        },
      })),
  },
  {
    promise: 'audit: a batch is appended whole or not at all',
    fault: 'appends one by one',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        append: async (records) => {
          for (const record of records) await good.append([record]);
        },
      })),
  },
  {
    promise: 'audit: of batches for one head at one time exactly one is appended',
    fault: 'drops the others in silence',
    of: (store) => replace(store, 'audit', (good) => ({ append: ignoreConflict(good) })),
  },
  {
    promise: 'audit: records of an owner are seen by who holds the scope, those without one only by the system',
    fault: 'ignores the caller when a session is named',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        list: (filter, order, page, caller) => good.list(filter, order, page, filter.session === undefined ? caller : SYSTEM_SCOPE),
      })),
  },
  {
    promise: 'audit: records are found by device and by session',
    fault: 'ignores the session when a device is named',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        list: ({ session, ...filter }, order, page, caller) =>
          good.list(filter.deviceId === undefined && session !== undefined ? { ...filter, session } : filter, order, page, caller),
      })),
  },
  {
    promise: 'audit: records are found by the id or the e-mail address of the actor, both exact',
    fault: 'looks at the id only',
    of: (store) => replace(store, 'audit', (good) => ({ list: listBy(good, 'actor', ({ actor }, wanted) => actor.id === wanted) })),
  },
  {
    promise: 'audit: records are found by their action or its first part, never by part of a word',
    fault: 'finds them by part of a word',
    of: (store) => replace(store, 'audit', (good) => ({ list: listBy(good, 'action', ({ action }, wanted) => action.startsWith(wanted)) })),
  },
  {
    promise: 'audit: a time range includes its beginning and excludes its end, also when the clock was set back',
    fault: 'includes the end',
    of: (store) => replace(store, 'audit', (good) => ({ list: listBy(good, 'until', ({ at }, wanted) => at <= Number(wanted)) })),
  },
  {
    promise: 'audit: a time range includes its beginning and excludes its end, also when the clock was set back',
    fault: 'stops at the first record that is too late',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        list: async ({ until, ...filter }, order, page, caller) => {
          const { items } = await good.list(filter, 'ascending', page, caller);
          const end = until === undefined ? -1 : items.findIndex(({ at }) => at >= until);
          const found = end === -1 ? items : items.slice(0, end);
          return { items: order === 'ascending' ? found : found.toReversed(), next: null };
        },
      })),
  },
  {
    promise: 'audit: filters narrow each other',
    fault: 'goes by the device alone when one is named',
    of: (store) =>
      replace(store, 'audit', (good) => ({
        list: (filter, order, page, caller) =>
          good.list(filter.deviceId === undefined ? filter : { deviceId: filter.deviceId }, order, page, caller),
      })),
  },
];
