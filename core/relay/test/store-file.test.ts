import type { StoreRecord } from '@towline/contract';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { readRecords } from '../src/store-file/read-records.ts';
import { writeLines } from '../src/store-file/write-lines.ts';
import { sealed } from './sealed.ts';

const ODD = 'line\u2028 \r\n \0 \ud800 👩‍👩‍👧‍👦';
const RECORDS: readonly StoreRecord[] = [
  { kind: 'meta', value: { name: 'relay', value: ODD } },
  { kind: 'meta', value: { name: 'other', value: 'garage' } },
  { kind: 'organisation', value: { id: 'acme', name: ODD, createdAt: 1, createdBy: 'ada', deletedAt: 2, revision: 2 } },
  { kind: 'membership', value: { org: 'acme', email: 'ada@example.com', role: 'admin', addedAt: 1, addedBy: 'ada' } },
  {
    kind: 'secret',
    value: {
      scope: 'org:acme',
      name: 'A',
      keyId: 'k',
      sealed: ODD,
      createdAt: 1,
      createdBy: 'a',
      updatedAt: 2,
      updatedBy: 'b',
      revision: 3,
    },
  },
];

let whole: Buffer;
let lines: string[];
beforeAll(async () => {
  whole = await written(RECORDS);
  lines = whole.toString().split('\n').slice(0, -1);
});

async function written(records: readonly StoreRecord[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const source = (async function* () {
    yield* records;
  })();
  for await (const chunk of writeLines(source, { relay: '1.2.3', at: '2030-01-01T00:00:00.000Z' })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads bytes that come in pieces of a size. */
async function read(bytes: Buffer, size = 65_536): Promise<StoreRecord[]> {
  const pieces = (async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  })();
  const found: StoreRecord[] = [];
  for await (const record of readRecords(pieces)) found.push(record);
  return found;
}

describe('the file of an export', () => {
  it.each([1, 2, 7, 65_536])('is read as it was written, in pieces of %i bytes', async (size) => {
    expect(await read(whole, size)).toEqual(RECORDS);
  });

  it('holds nothing for an empty store', async () => {
    expect(await read(await written([]))).toEqual([]);
  });

  it('of the schema before, which had no secrets, is taken', async () => {
    const before = [lines[0]!.replace('"schema":2', '"schema":1'), ...lines.slice(1, -2)];
    expect(await read(Buffer.from(sealed(before)))).toEqual(RECORDS.slice(0, -1));
  });

  it('is refused when any one byte of it is another, or it ends anywhere before its end', async () => {
    const damaged = expect.objectContaining({ code: expect.stringMatching(/^(file_damaged|store_schema)$/) });
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const other = Buffer.from(whole);
        other[at] = other[at]! ^ change;
        // The counts of kinds that are not there may lose their zero; the records are the same then.
        const outcome = await read(other).catch((error: unknown) => error);
        if (at < whole.length - (lines.at(-1)!.length + 1)) expect(outcome).toEqual(damaged);
        else if (Array.isArray(outcome)) expect(outcome).toEqual(RECORDS);
        expect(await read(whole.subarray(0, at)).catch((error: unknown) => error)).toEqual(damaged);
      }),
    );
  });

  it.each<[string, () => string | Buffer, string]>([
    ['an empty one', () => '', 'is empty'],
    ['another text', () => 'hello\n', 'no export of a store: line 1'],
    ['other JSON', () => '{"a":1}\n', 'no export of a store'],
    ['one that was cut between lines', () => `${lines.slice(0, 4).join('\n')}\n`, 'it ends with line 4'],
    ['one that was cut in a line', () => `${lines.slice(0, 4).join('\n')}\n${lines[4]!.slice(0, 9)}`, 'was cut in line 5'],
    ['one with a changed value', () => `${lines.join('\n')}\n`.replace('garage', 'Garage'), 'was changed or damaged: by line'],
    ['one with a line that is no JSON', () => `${lines[0]}\n${lines[1]}\n{"kind"\n${lines[3]}\n`, 'line 3 is no JSON'],
    [
      'bytes that are no text',
      () => Buffer.concat([Buffer.from(`${lines[0]}\n`), Buffer.from([0x22, 0xff, 0x22, 0x0a])]),
      'line 2 is no JSON',
    ],
    ['one with something behind', () => `${lines.join('\n')}\n${lines[1]}\n`, 'follows the last line'],
    ['one of a newer format', () => sealed([lines[0]!.replace('"towline_store":1', '"towline_store":2')]), 'newer version'],
    ['one of a newer schema', () => sealed([lines[0]!.replace('"schema":2', '"schema":3')]), 'newer version'],
    ['an unknown kind', () => sealed([lines[0]!, '{"kind":"spell","value":{}}']), 'Line 2 is no record of an export: "spell" is no kind'],
    ['an unknown field', () => sealed([lines[0]!, '{"kind":"meta","value":{"name":"a","value":"b","c":1}}']), 'Line 2 is no record'],
    ['lines out of order', () => sealed([lines[0]!, lines.at(-2)!, lines[1]!]), 'Line 3 is out of order: meta cannot follow secret'],
    ['one that counts other records', () => `${lines.join('\n')}\n`.replace('"meta":2', '"meta":3'), 'counts other records'],
  ])('is refused when it is %s', async (_, make, message) => {
    await expect(read(Buffer.from(make()))).rejects.toMatchObject({ message: expect.stringContaining(message) });
  });
});
