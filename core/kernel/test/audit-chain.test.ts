import { createHash } from 'node:crypto';
import type { AuditEvent, AuditRecord } from '@towline/contract';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../src/audit/canonical-json.ts';
import { GENESIS_HASH, linkRecords, normaliseEvent, verifyChain } from '../src/audit/chain.ts';
import { event } from './audit-parts.ts';

const events = (count: number) => Array.from({ length: count }, (_none, index) => event('login', { detail: { index } }));

describe('canonical JSON', () => {
  it('is the same for the same value, however it was built', () => {
    expect(canonicalJson({ b: [1, { d: 1, c: undefined }], a: 'ä\n' })).toBe('{"a":"ä\\n","b":[1,{"d":1}]}');
    expect(canonicalJson({ a: 'ä\n', b: [1, { d: 1 }] })).toBe('{"a":"ä\\n","b":[1,{"d":1}]}');
  });

  it('sorts keys by code units, numbers among them, and keeps a key called __proto__', () => {
    expect(canonicalJson(JSON.parse('{"b":1,"10":1,"9":1,"__proto__":{"x":1},"B":1}'))).toBe(
      '{"10":1,"9":1,"B":1,"__proto__":{"x":1},"b":1}',
    );
  });

  it('survives being read and written again', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it('holds no text that a store could not keep', () => {
    expect(canonicalJson('a\ud800b\udc00c😀')).toBe('"a\ufffdb\ufffdc😀"');
  });

  it('refuses what JSON cannot hold', () => {
    expect(() => canonicalJson({ a: 1n })).toThrow(TypeError);
    expect(() => canonicalJson({ a: () => 1 })).toThrow(TypeError);
  });
});

describe('the chain', () => {
  it('numbers from 1, begins with zeros and hashes as documented', () => {
    const [first, second] = linkRecords(null, events(2)) as [AuditRecord, AuditRecord];
    expect(first).toMatchObject({ number: 1, previousHash: GENESIS_HASH });
    expect(second).toMatchObject({ number: 2, previousHash: first.hash });
    const text =
      '{"action":"login","actor":{"id":"local|a","kind":"user","label":"a@example.com"},"at":1700000000000,"detail":{"index":0},' +
      `"number":1,"outcome":"ok","previousHash":"${GENESIS_HASH}"}`;
    expect(first.hash).toBe(createHash('sha256').update(`${GENESIS_HASH}\n${text}`).digest('hex'));
  });

  it('keeps the hash that this event had in the first version, so that old trails verify', () => {
    expect(linkRecords(null, events(1))[0]!.hash).toMatchInlineSnapshot(
      `"2dd3a33ff525fe45e546e174964830ee135f6992605f61c895962a803c317576"`,
    );
  });

  it('verifies as written, in one piece or continued, also after a round through JSON', async () => {
    const begin = linkRecords(null, events(3));
    const rest = linkRecords(begin.at(-1)!, events(4));
    const all = JSON.parse(JSON.stringify([...begin, ...rest])) as AuditRecord[];
    expect(await verifyChain(all)).toMatchObject({ ok: true, count: 7, head: { number: 7 } });
    expect(await verifyChain(rest, begin.at(-1)!)).toMatchObject({ ok: true, count: 4 });
    expect(await verifyChain([])).toEqual({ ok: true, count: 0, head: null });
  });

  it('gives an event no say over its place', () => {
    const forged = { ...event(), number: 99, hash: 'f'.repeat(64), previousHash: 'f'.repeat(64) } as AuditEvent;
    expect(linkRecords(null, [forged])[0]).toMatchObject({ number: 1, previousHash: GENESIS_HASH });
    expect(normaliseEvent(forged).event).toEqual(event());
  });

  it('verifies whatever JSON an event brought along, as a store gives it back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { maxLength: 4 }), async (details) => {
        const records = linkRecords(
          null,
          details.map((detail) => event('x', { detail: detail as AuditEvent['detail'] & object })),
        );
        expect(await verifyChain(JSON.parse(JSON.stringify(records)) as AuditRecord[])).toMatchObject({ ok: true, count: details.length });
      }),
    );
  });
});

describe('tampering', () => {
  const chain = () =>
    JSON.parse(JSON.stringify(linkRecords(null, events(6)))) as { -readonly [Key in keyof AuditRecord]: AuditRecord[Key] }[];

  it('with any field of any record is found at that record', async () => {
    const names = ['at', 'action', 'actor', 'outcome', 'detail'] as const;
    for (const index of [0, 3, 5])
      for (const name of names) {
        const records = chain();
        Object.assign(records[index]!, { [name]: name === 'at' ? 1 : name === 'detail' ? { index: 99 } : 'changed' });
        expect(await verifyChain(records)).toMatchObject({ ok: false, number: index + 1, fault: 'hash' });
      }
  });

  it('by adding a field is found', async () => {
    const records = chain();
    records[2]!.reason = 'planted';
    expect(await verifyChain(records)).toMatchObject({ ok: false, number: 3, fault: 'hash' });
  });

  it('by removing, swapping or repeating a record is found', async () => {
    const whole = chain();
    expect(await verifyChain(whole.filter(({ number }) => number !== 3))).toMatchObject({ ok: false, number: 3, fault: 'number' });
    expect(await verifyChain([whole[0]!, whole[2]!, whole[1]!])).toMatchObject({ ok: false, number: 2, fault: 'number' });
    expect(await verifyChain([whole[0]!, whole[0]!])).toMatchObject({ ok: false, number: 2, fault: 'number' });
    expect(await verifyChain(whole.slice(1))).toMatchObject({ ok: false, number: 1, fault: 'number' });
  });

  it('by replacing a record with one that is whole in itself is found at the next', async () => {
    const records = chain();
    records[2] = linkRecords(records[1]!, [event('planted')])[0]!;
    expect(await verifyChain(records)).toMatchObject({ ok: false, number: 4, fault: 'previous_hash' });
  });
});
