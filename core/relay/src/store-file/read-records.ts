import { createHash } from 'node:crypto';
import { STORE_RECORD_KINDS, STORE_RECORD_SCHEMA, type StoreRecord, storeRecordFault, TowlineError } from '@towline/contract';
import { damagedFile, describeCounts, noRecords, type RecordCounts, STORE_FILE_VERSION, type StoreFileTail } from './format.ts';
import { type Line, splitLines } from './split-lines.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The records of an export, in their order; answers how many there are. It ends without an error only when the file is
 * whole and its hash is right, so what was made of the records before must not count until then.
 * @throws TowlineError `file_damaged` naming the line; `store_schema` for a file of a newer version.
 */
export async function* readRecords(input: AsyncIterable<Buffer>): AsyncGenerator<StoreRecord, RecordCounts> {
  const hash = createHash('sha256');
  const counts = noRecords();
  let tail: Json | undefined;
  let last = { number: 0, kind: 0 };
  for await (const line of splitLines(input)) {
    if (tail !== undefined) throw damagedFile(`Line ${line.number} follows the last line of the export: something was added to the file.`);
    if (!line.whole) throw damagedFile(`The file was cut in line ${line.number}.`);
    const value = parseLine(line);
    if (line.number === 1) checkHead(value);
    else if ('sha256' in value) checkTail((tail = value), { line, counts, sha256: hash.copy().digest('hex') });
    else {
      const kind = checkRecord(value, line, last.kind);
      counts[STORE_RECORD_KINDS[kind]!] += 1;
      yield value as unknown as StoreRecord;
      last = { number: line.number, kind };
    }
    last = { ...last, number: line.number };
    hash.update(line.bytes);
  }
  if (last.number === 0) throw damagedFile('The file is empty.');
  if (tail === undefined) throw damagedFile(`The file was cut: it ends with line ${last.number}, before the last line of the export.`);
  return counts;
}

function parseLine({ number, bytes }: Line): Json {
  const what = number === 1 ? 'The file is no export of a store: line 1' : `The file is damaged: line ${number}`;
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    throw damagedFile(`${what} is no JSON.`);
  }
  throw damagedFile(`${what} is no object.`);
}

function checkHead({ towline_store: version, schema, relay }: Json): void {
  if (!Number.isSafeInteger(version) || !Number.isSafeInteger(schema))
    throw damagedFile('The file is no export of a store, by its line 1.');
  if ((version as number) <= STORE_FILE_VERSION && (schema as number) <= STORE_RECORD_SCHEMA) return;
  throw new TowlineError(
    'store_schema',
    `The export was written by a newer version (${String(relay)}): by its line 1 it has version ${version} and schema ${schema}, and this version knows up to ${STORE_FILE_VERSION} and ${STORE_RECORD_SCHEMA}.`,
    { hint: 'Import it with that version or a later one.' },
  );
}

/** The place of its kind among the kinds. */
function checkRecord(value: Json, { number }: Line, after: number): number {
  const fault = storeRecordFault(value);
  if (fault !== null) throw damagedFile(`Line ${number} is no record of an export: ${fault}.`);
  const kind = STORE_RECORD_KINDS.indexOf(value.kind as StoreRecord['kind']);
  if (kind >= after) return kind;
  throw damagedFile(`Line ${number} is out of order: ${String(value.kind)} cannot follow ${STORE_RECORD_KINDS[after]!}.`);
}

function checkTail(tail: Json, found: { readonly line: Line; readonly counts: RecordCounts; readonly sha256: string }): void {
  const { counts, sha256 } = tail as unknown as StoreFileTail;
  if (sha256 !== found.sha256) {
    throw damagedFile(
      `The file was changed or damaged: by line ${found.line.number} the lines before it have the hash ${String(sha256)}, and their hash is ${found.sha256}.`,
    );
  }
  const wrong = STORE_RECORD_KINDS.some((kind) => (counts?.[kind] ?? 0) !== found.counts[kind]);
  if (wrong)
    throw damagedFile(`Line ${found.line.number} counts other records than there are: the file holds ${describeCounts(found.counts)}.`);
}
