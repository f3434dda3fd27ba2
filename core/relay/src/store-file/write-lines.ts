import { createHash } from 'node:crypto';
import { STORE_RECORD_SCHEMA, type StoreRecord } from '@towline/contract';
import { noRecords, type RecordCounts, STORE_FILE_VERSION, type StoreFileHead, type StoreFileTail } from './format.ts';

/** Characters that are handed on together. */
const CHUNK_CHARACTERS = 65_536;

/** What the first line tells of where the export comes from. */
export type Origin = Pick<StoreFileHead, 'relay' | 'at'>;

/** The bytes of an export; they are whole when the last one came. Answers how many records there are. */
export async function* writeLines(records: AsyncIterable<StoreRecord>, { relay, at }: Origin): AsyncGenerator<Buffer, RecordCounts> {
  const hash = createHash('sha256');
  const counts = noRecords();
  let text = line({ towline_store: STORE_FILE_VERSION, schema: STORE_RECORD_SCHEMA, relay, at } satisfies StoreFileHead);
  const take = () => {
    const chunk = Buffer.from(text);
    hash.update(chunk);
    text = '';
    return chunk;
  };
  for await (const { kind, value } of records) {
    counts[kind] += 1;
    text += line({ kind, value });
    if (text.length >= CHUNK_CHARACTERS) yield take();
  }
  yield take();
  yield Buffer.from(line({ counts, sha256: hash.digest('hex') } satisfies StoreFileTail));
  return counts;
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
