import { TowlineError } from '@towline/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { type AuditPipeline, type AuditPipelineParts, createAuditPipeline, verifyChain } from '../src/audit/index.ts';
import { event, MemorySink, MemoryTrail, memoryLog, range, until } from './audit-parts.ts';

const opened: AuditPipeline[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((pipeline) => pipeline[Symbol.asyncDispose]()));
});

function setUp(given: Partial<AuditPipelineParts> & { readonly required?: MemorySink; readonly spooled?: MemorySink } = {}) {
  const store = new MemoryTrail();
  const { log, errors } = memoryLog();
  const clock = { time: 1_700_000_000_500, now: () => clock.time };
  const sinks = [
    ...(given.required ? [{ name: 'must', sink: given.required, required: true }] : []),
    ...(given.spooled ? [{ name: 'may', sink: given.spooled, required: false }] : []),
  ];
  const limits = { retryMs: [1, 4] as const, sinkDeadlineMs: 200, closeDeadlineMs: 50, ...given.limits };
  const pipeline = createAuditPipeline({ store, sinks, clock, log, limits });
  opened.push(pipeline);
  return { store, pipeline, clock, errors };
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => 'written',
    (error: TowlineError) => error.code,
  );

describe('writing', () => {
  it('resolves when store and required sink have the record, and not before', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required });
    await pipeline.write(event('a'));
    expect(store.records.map(({ action }) => action)).toEqual(['a']);
    expect(required.records).toEqual(store.records);
  });

  it('keeps the order of the calls, groups what waits and makes one verifiable chain', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required, limits: { maxBatch: 500 } });
    await Promise.all(range(1, 1_234).map((index) => pipeline.write(event('x', { detail: { index } }))));
    expect(store.records.map(({ detail }) => detail!.index)).toEqual(range(1, 1_234));
    expect(store.groups).toEqual([500, 500, 234]);
    expect(required.records).toEqual(store.records);
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 1_234 });
  });

  it('goes on when the next event is written as soon as the one before is done', async () => {
    const { store, pipeline } = setUp();
    for (const index of range(1, 300)) await pipeline.write(event('x', { detail: { index } }));
    expect(store.records).toHaveLength(300);
  });

  it('splits groups by bytes as well', async () => {
    const { store, pipeline } = setUp({ limits: { maxBatchBytes: 1_000 } });
    await Promise.all(range(1, 6).map(() => pipeline.write(event('x', { detail: { text: 'a'.repeat(300) } }))));
    expect(store.groups).toEqual([2, 2, 2]);
  });

  it('refuses the one event that JSON cannot hold and the one that is too large, and nothing beside them', async () => {
    const { store, pipeline } = setUp();
    const written = await Promise.all([
      refusal(pipeline.write(event('good'))),
      refusal(pipeline.write(event('bad', { detail: { big: 1n as unknown as number } }))),
      refusal(pipeline.write(event('huge', { detail: { text: 'a'.repeat(600_000) } }))),
      refusal(pipeline.write(event('good'))),
    ]);
    expect(written).toEqual(['written', 'internal', 'too_large', 'written']);
    expect(store.records.map(({ action }) => action)).toEqual(['good', 'good']);
  });

  it('is refused when too many events or bytes wait, and goes on afterwards', async () => {
    const { store, pipeline } = setUp({ limits: { maxWaiting: 10, maxWaitingBytes: 3_000 } });
    const small = await Promise.all(range(1, 12).map(() => refusal(pipeline.write(event()))));
    expect(small.filter((code) => code === 'unavailable')).toHaveLength(2);
    const large = await Promise.all(range(1, 4).map(() => refusal(pipeline.write(event('x', { detail: { text: 'a'.repeat(1_000) } })))));
    expect(large).toEqual(['written', 'written', 'unavailable', 'unavailable']);
    expect(await refusal(pipeline.write(event()))).toBe('written');
    expect(store.records).toHaveLength(13);
  });
});

describe('a store that fails', () => {
  it('refuses what it should have recorded, says so once in the log, and is used again when it works', async () => {
    const { store, pipeline, errors } = setUp();
    store.onAppend = () => {
      throw new TowlineError('store_failed');
    };
    for (const _round of range(1, 3)) expect(await refusal(pipeline.write(event()))).toBe('unavailable');
    store.onAppend = undefined;
    expect(await refusal(pipeline.write(event()))).toBe('written');
    expect(errors()).toHaveLength(1);
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 1 });
  });

  it('that hangs is given up after its deadline, and a late success does not break the chain', async () => {
    const { store, pipeline } = setUp({ limits: { storeDeadlineMs: 30 } });
    let release = () => {};
    store.onAppend = () => new Promise((resolve) => (release = resolve));
    expect(await refusal(pipeline.write(event('late')))).toBe('unavailable');
    store.onAppend = undefined;
    const next = pipeline.write(event('next'));
    release();
    await next;
    expect(store.records.map(({ action }) => action).sort()).toEqual(['late', 'next']);
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 2 });
  });

  it('whose head another process moves is followed: the batch is linked anew', async () => {
    const required = new MemorySink();
    const spooled = new MemorySink();
    const { store, pipeline } = setUp({ required, spooled });
    await pipeline.write(event('a'));
    store.appendForeign(event('foreign 1'), event('foreign 2'));
    await pipeline.write(event('b'));
    expect(store.records.map(({ action }) => action)).toEqual(['a', 'foreign 1', 'foreign 2', 'b']);
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 4 });
    expect(required.numbers).toEqual([1, 2, 3, 4]);
    await until(() => spooled.records.length === 4);
    expect(spooled.numbers).toEqual([1, 2, 3, 4]);
  });

  it('whose head moves without end is given up', async () => {
    const { store, pipeline } = setUp();
    store.onAppend = () => store.appendForeign(event('foreign'));
    expect(await refusal(pipeline.write(event()))).toBe('unavailable');
  });

  it('is shared by two writers at once without a gap, a loss or a record in the wrong place', async () => {
    const [required, spooled] = [new MemorySink(), new MemorySink()];
    const { store, pipeline, clock } = setUp({ required, spooled });
    const other = createAuditPipeline({ store, sinks: [], clock, log: memoryLog().log });
    opened.push(other);
    const writes = range(1, 40).map(async (index) => {
      await new Promise((resolve) => setTimeout(resolve, index % 7));
      await (index % 2 === 0 ? pipeline : other).write(event('x', { detail: { index } }));
    });
    await Promise.all(writes);
    await pipeline.write(event('last'));
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 41 });
    expect(new Set(store.records.map(({ detail }) => detail?.index)).size).toBe(41);
    expect(required.records).toEqual(store.records.slice(-required.records.length));
    await until(() => spooled.records.length === required.records.length);
    expect(spooled.records).toEqual(required.records);
  });

  it('whose foreign records cannot be read back leaves a gap that is recorded, and refuses for a required sink', async () => {
    const spooled = new MemorySink();
    const { store, pipeline } = setUp({ spooled });
    await pipeline.write(event('a'));
    store.appendForeign(event('foreign'));
    store.onList = () => {
      throw new TowlineError('store_failed');
    };
    await pipeline.write(event('b'));
    await until(() => store.records.length === 4);
    expect(store.records[3]).toMatchObject({ action: 'audit.gap', detail: { sink: 'may', state: 'unreadable', from: 2, to: 2 } });
    await until(() => spooled.records.length === 3);
    expect(spooled.numbers).toEqual([1, 3, 4]);

    const required = new MemorySink();
    const closed = setUp({ required });
    await closed.pipeline.write(event('a'));
    closed.store.appendForeign(event('foreign'));
    closed.store.onList = store.onList;
    expect(await refusal(closed.pipeline.write(event('b')))).toBe('unavailable');
    closed.store.onList = undefined;
    await closed.pipeline.write(event('c'));
    expect(required.records).toEqual(closed.store.records);
  });

  it('does not hand the records from before this relay to the sinks', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required });
    store.appendForeign(event('old'));
    await pipeline.write(event('new'));
    expect(required.numbers).toEqual([2]);
  });
});

describe('a required sink that fails', () => {
  it('closes: nothing is done, the store says what was refused, and the sink gets all of it in order later', async () => {
    const required = new MemorySink();
    const spooled = new MemorySink();
    const { store, pipeline, errors } = setUp({ required, spooled });
    await pipeline.write(event('a'));
    required.onWrite = () => {
      throw new Error('No space left, said twl_u_0123456789abcdef_0123.');
    };
    expect(await Promise.all([refusal(pipeline.write(event('b'))), refusal(pipeline.write(event('c')))])).toEqual([
      'unavailable',
      'unavailable',
    ]);
    await until(() => store.records.length === 4);
    expect(store.records[3]).toMatchObject({ action: 'audit.undelivered', outcome: 'failed', detail: { sink: 'must', from: 2, to: 3 } });
    expect(store.records[3]!.detail!.error).toMatch(/No space left, said twl_u_0123456789abcdef_\[redacted\]/);
    expect(required.numbers).toEqual([1]);
    expect(errors()).toHaveLength(1);
    expect(pipeline.status().sinks[0]).toMatchObject({ name: 'must', failing: true });

    required.onWrite = undefined;
    await pipeline.write(event('d'));
    expect(required.numbers).toEqual([1, 2, 3, 4, 5]);
    expect(required.records).toEqual(store.records);
    await until(() => spooled.records.length === 5);
    expect(spooled.records).toEqual(store.records);
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 5 });
  });

  it('from its first record on still gets it later', async () => {
    const required = new MemorySink();
    const { pipeline } = setUp({ required });
    required.onWrite = () => Promise.reject(new Error('down'));
    expect(await refusal(pipeline.write(event('a')))).toBe('unavailable');
    required.onWrite = undefined;
    await pipeline.write(event('b'));
    expect(required.records.map(({ action }) => action)).toEqual(['a', 'audit.undelivered', 'b']);
  });

  it('for long catches up over many pages of the store', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required });
    required.onWrite = () => Promise.reject(new Error('down'));
    await Promise.all(range(1, 2_300).map(() => refusal(pipeline.write(event()))));
    required.onWrite = undefined;
    await pipeline.write(event('last'));
    expect(required.numbers).toEqual(range(1, store.records.length));
    expect(required.records).toEqual(store.records);
  });

  it('by hanging does not get the next batch beside the first, nor a record twice', async () => {
    const required = new MemorySink();
    const { pipeline } = setUp({ required, limits: { sinkDeadlineMs: 20 } });
    let release = () => {};
    required.onWrite = () => new Promise((resolve) => (release = resolve));
    expect(await refusal(pipeline.write(event('slow')))).toBe('unavailable');
    expect(await refusal(pipeline.write(event('second')))).toBe('unavailable');
    required.onWrite = undefined;
    release();
    await until(() => required.running === 0);
    await pipeline.write(event('third'));
    expect(required.overlapped).toBe(false);
    expect(required.records.map(({ action }) => action)).toEqual(['slow', 'audit.undelivered', 'second', 'audit.undelivered', 'third']);
  });

  it('never has a record that the store has not', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required });
    required.onWrite = (batch) => expect(store.records.slice(-batch.length)).toEqual(batch);
    store.onAppend = () => (store.records.length % 2 === 0 ? undefined : Promise.reject(new TowlineError('store_failed')));
    for (const _round of range(1, 5)) await refusal(pipeline.write(event()));
    store.onAppend = undefined;
    await pipeline.write(event());
    expect(required.records).toEqual(store.records);
  });
});

describe('a sink that is not required', () => {
  it('holds nobody up while it fails and gets everything when it works again', async () => {
    const spooled = new MemorySink();
    const { store, pipeline, errors } = setUp({ spooled });
    spooled.onWrite = () => Promise.reject(new Error('down'));
    for (const _round of range(1, 5)) await pipeline.write(event());
    expect(pipeline.status().sinks[0]).toMatchObject({ name: 'may', waiting: 5 });
    await until(() => pipeline.status().sinks[0]!.failing);
    spooled.onWrite = undefined;
    await until(() => spooled.records.length === 5);
    expect(spooled.records).toEqual(store.records);
    expect(errors()).toHaveLength(1);
    expect(pipeline.status().sinks[0]).toMatchObject({ failing: false, waiting: 0 });
  });

  it('that falls too far behind leaves a gap, which the trail records with its begin and its end', async () => {
    const spooled = new MemorySink();
    const { store, pipeline } = setUp({ spooled, limits: { maxSpool: 10 } });
    spooled.onWrite = () => Promise.reject(new Error('down'));
    for (const _round of range(1, 15)) await pipeline.write(event());
    await until(() => store.records.some(({ action }) => action === 'audit.gap'));
    spooled.onWrite = undefined;
    await until(() => spooled.records.length >= 10);
    await pipeline.write(event('after'));
    await until(() => store.records.at(-1)!.detail?.state === 'recovered');
    await until(() => spooled.numbers.at(-1) === store.records.length);
    const [begin, end] = store.records.filter(({ action }) => action === 'audit.gap').map(({ detail }) => detail!);
    expect(begin).toMatchObject({ sink: 'may', state: 'overflow', from: 11 });
    expect(end).toMatchObject({ sink: 'may', state: 'recovered', from: 11 });
    const missing = range(1, store.records.length).filter((number) => !spooled.numbers.includes(number));
    expect(missing).toEqual(range(11, end!.to as number));
    expect(spooled.numbers).toEqual([...spooled.numbers].sort((a, b) => a - b));
  });

  it('does not get what it has a second time when its answer came late', async () => {
    const spooled = new MemorySink();
    const { pipeline } = setUp({ spooled, limits: { sinkDeadlineMs: 20 } });
    let release = () => {};
    spooled.onWrite = () => new Promise((resolve) => (release = resolve));
    await pipeline.write(event('a'));
    await until(() => pipeline.status().sinks[0]!.failing);
    spooled.onWrite = undefined;
    release();
    await pipeline.write(event('b'));
    await until(() => spooled.records.length === 2);
    expect(spooled.numbers).toEqual([1, 2]);
    expect(spooled.overlapped).toBe(false);
  });
});

describe('what has happened already', () => {
  it('is noted although a required sink fails', async () => {
    const required = new MemorySink();
    const { store, pipeline } = setUp({ required });
    required.onWrite = () => Promise.reject(new Error('down'));
    await pipeline.note(event('session.closed'));
    expect(store.records[0]).toMatchObject({ action: 'session.closed' });
  });

  it('is an error when the store cannot take it', async () => {
    const { store, pipeline } = setUp();
    store.onAppend = () => Promise.reject(new TowlineError('store_failed'));
    expect(await refusal(pipeline.note(event('session.closed')))).toBe('unavailable');
  });
});

describe('the end of the pipeline', () => {
  it('comes after everything that waits, also for a sink that is not required', async () => {
    const spooled = new MemorySink();
    const { store, pipeline } = setUp({ spooled });
    const writes = range(1, 700).map(() => pipeline.write(event()));
    await pipeline[Symbol.asyncDispose]();
    await Promise.all(writes);
    expect(store.records).toHaveLength(700);
    expect(spooled.numbers).toEqual(range(1, 700));
    expect(await refusal(pipeline.write(event()))).toBe('unavailable');
    await pipeline[Symbol.asyncDispose]();
  });

  it('records what a sink did not get', async () => {
    const spooled = new MemorySink();
    const { store, pipeline } = setUp({ spooled });
    spooled.onWrite = () => Promise.reject(new Error('down'));
    await pipeline.write(event());
    await pipeline.write(event());
    await pipeline[Symbol.asyncDispose]();
    expect(store.records.at(-1)).toMatchObject({ action: 'audit.gap', detail: { sink: 'may', state: 'shutdown', from: 1, to: 2 } });
    expect(await verifyChain(store.records)).toMatchObject({ ok: true, count: 3 });
  });

  it('says in the log what it could not record', async () => {
    const spooled = new MemorySink();
    const { store, pipeline, errors } = setUp({ spooled });
    spooled.onWrite = () => Promise.reject(new Error('down'));
    await pipeline.write(event());
    store.onAppend = () => Promise.reject(new TowlineError('store_failed'));
    await pipeline[Symbol.asyncDispose]();
    expect(errors().some((message) => message.startsWith('Notes about the audit trail'))).toBe(true);
  });
});
