import { expect, it } from 'vitest';
import { decodeFrame, entrySchema, failedSchema, listedSchema, settledSchema, wantSchema } from '../src/wire/schemas.ts';

const file = { kind: 'file', id: 2, parent: 1, name: 'a\u00ff', mode: 0o644, mtime: 1.5, size: 3, sparse: false };
const link = { kind: 'link', id: 2, parent: 1, name: 'l', mtime: -1, target: '../x' };
const listed = { name: 'n', kind: 'fifo', mode: 0, mtime: 0, size: 0, uid: 0, gid: 0, links: 1 };
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

it('what a peer says is taken as what it means: names as bytes, and nothing that is not known', () => {
  expect(decodeFrame(entrySchema, json({ ...file, more: 1 }))).toEqual({ ...file, name: Buffer.from([0x61, 0xff]) });
  expect(decodeFrame(entrySchema, json(link))).toEqual({ ...link, name: Buffer.from('l'), target: Buffer.from('../x') });
  expect(decodeFrame(settledSchema, json({ id: 1, status: 'same' }))).toEqual({ id: 1, status: 'same' });
  expect(decodeFrame(settledSchema, json({ id: 1, status: 'failed', code: 'EIO' }))).toEqual({ id: 1, status: 'failed', code: 'EIO' });
  expect(decodeFrame(listedSchema, json({ ...listed, target: 't' }))).toEqual({
    ...listed,
    name: Buffer.from('n'),
    target: Buffer.from('t'),
  });
});

it.each([
  ['no object', entrySchema, 'file', 'kind'],
  ['nothing', entrySchema, null, 'kind'],
  ['a list', wantSchema, [1, 2], 'an object'],
  ['another kind', entrySchema, { ...file, kind: 'device' }, 'kind'],
  ['a kind that objects have by nature', entrySchema, { ...file, kind: 'constructor' }, 'kind'],
  ['a number that is none', entrySchema, { ...file, id: '2' }, 'id'],
  ['the number 0', entrySchema, { ...file, id: 0 }, 'id'],
  ['a number of more than four bytes', entrySchema, { ...file, parent: 2 ** 32 }, 'parent'],
  ['a fraction of a byte', entrySchema, { ...file, size: 0.5 }, 'size'],
  ['a size that is not exact', entrySchema, { ...file, size: 2 ** 53 }, 'size'],
  ['a size below nothing', entrySchema, { ...file, size: -1 }, 'size'],
  ['a mode with more bits', entrySchema, { ...file, mode: 0o10000 }, 'mode'],
  ['a time that no Date holds', entrySchema, { ...file, mtime: 8.65e15 }, 'mtime'],
  ['a time that is none', entrySchema, { ...file, mtime: null }, 'mtime'],
  ['a name of characters that are no bytes', entrySchema, { ...file, name: '\u0100' }, 'name'],
  ['a name that is too long', entrySchema, { ...file, name: 'x'.repeat(256) }, 'name'],
  ['a link that leads too far', entrySchema, { ...link, target: 'x'.repeat(4_096) }, 'target'],
  ['a yes that is none', wantSchema, { id: 1, have: 0, whole: 'true' }, 'whole'],
  ['a status that is not known', settledSchema, { id: 1, status: 'lost' }, 'status'],
  ['a code that is no word', settledSchema, { id: 1, status: 'failed', code: 'a b' }, 'code'],
  ['a code that is missing', failedSchema, { id: 1 }, 'code'],
] as const)('%s is refused, and what is wrong is named', (_what, schema, value, name) => {
  expect(() => decodeFrame<unknown>(schema, json(value))).toThrow(
    expect.objectContaining({ code: 'protocol_error', message: expect.stringContaining(name) }),
  );
});
