import { type StoreRecord, storeRecordFault } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { DatabaseThread } from './database-thread.ts';
import { TRANSFER_CHARACTERS, TRANSFER_RECORDS } from './limits.ts';
import type { PackedRecord } from './thread-messages.ts';
import { untilAborted } from './until-aborted.ts';

/** Reads everything by a thread of its own, which is closed in the end. */
export async function* exportRecords(thread: DatabaseThread, signal: AbortSignal): AsyncGenerator<StoreRecord, void, undefined> {
  try {
    for (;;) {
      const packed = (await untilAborted(thread.call('export.next', []), signal)) as readonly PackedRecord[];
      if (packed.length === 0) return;
      for (const [kind, json] of packed) {
        signal.throwIfAborted();
        yield { kind, value: JSON.parse(json) as object };
      }
    }
  } finally {
    await thread.call('export.end', []).catch(() => undefined);
    await thread.close();
  }
}

/** Writes everything by a thread of its own, which is closed in the end: all of it, or nothing. */
export async function importRecords(thread: DatabaseThread, records: AsyncIterable<StoreRecord>, signal: AbortSignal): Promise<void> {
  try {
    await thread.call('import.begin', []);
    let count = 0;
    for await (const batch of batches(records, signal)) {
      await thread.call('import.add', [count + 1, batch]);
      count += batch.length;
    }
    signal.throwIfAborted();
    await thread.call('import.commit', []);
  } finally {
    await thread.close();
  }
}

async function* batches(records: AsyncIterable<StoreRecord>, signal: AbortSignal): AsyncGenerator<readonly PackedRecord[]> {
  let batch: PackedRecord[] = [];
  let characters = 0;
  let number = 0;
  for await (const record of abortable(records, signal)) {
    number += 1;
    const packed = pack(record, number);
    batch.push(packed);
    characters += packed[1].length;
    if (batch.length < TRANSFER_RECORDS && characters < TRANSFER_CHARACTERS) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}

function pack(record: StoreRecord, number: number): PackedRecord {
  const fault = storeRecordFault(record);
  if (fault === null) return [record.kind, JSON.stringify(record.value)];
  throw new TowlineError('invalid_request', `Record ${number} of the import does not fit: ${fault}. Nothing was imported.`);
}

/** A source that hangs must not hold an import that was given up. */
async function* abortable<Item>(source: AsyncIterable<Item>, signal: AbortSignal): AsyncGenerator<Item> {
  const items = source[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await untilAborted(items.next(), signal);
      ended = done === true;
      if (ended) return;
      yield value as Item;
    }
  } finally {
    // Not awaited: a source that hangs does not end either.
    if (!ended) void Promise.resolve(items.return?.()).catch(() => undefined);
  }
}
