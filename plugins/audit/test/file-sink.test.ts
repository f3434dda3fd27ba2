import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AuditRecord, isPlugin, isTowlineError, type Log } from '@towline/contract';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseByteSize } from '../src/file/byte-size.ts';
import { plugin } from '../src/file/index.ts';

let folder: string;
let path: string;
const opened: AsyncDisposable[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'towline-audit-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(async () => {
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function openSink(options: Readonly<Record<string, unknown>> = {}) {
  const messages: string[] = [];
  const keep = (message: string) => void messages.push(message);
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  const checked = await plugin.options['~standard'].validate({ path, ...options });
  if (checked.issues) throw new Error(checked.issues.map(({ message }) => message).join());
  const sink = plugin.create(checked.value, { log, clock: Date, baseDir: '/' } as unknown as Parameters<typeof plugin.create>[1]);
  opened.push(sink as unknown as AsyncDisposable);
  await sink.start!(AbortSignal.timeout(5_000));
  return { sink, messages };
}

function record(number: number, text = 'x'): AuditRecord {
  const actor = { kind: 'user' as const, id: 'local|a', label: text };
  return { number, previousHash: '0'.repeat(64), hash: 'f'.repeat(64), at: 1_700_000_000_000, action: 'login', actor, outcome: 'ok' };
}

const records = (from: number, to: number, text?: string) =>
  Array.from({ length: to - from + 1 }, (_none, index) => record(from + index, text));
const linesOf = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);
const numbersIn = (file: string) => linesOf(file).map((line) => (JSON.parse(line) as AuditRecord).number);

describe('the file', () => {
  it('is a plugin with its defaults', async () => {
    expect(isPlugin(plugin)).toBe(true);
    expect(await plugin.options['~standard'].validate({ path: '/x' })).toEqual({ value: { path: '/x', max_size: 100_000_000, keep: 10 } });
  });

  it('gets one line of JSON a record, readable for its owner alone', async () => {
    const { sink } = await openSink();
    await sink.write(records(1, 3));
    await sink.write(records(4, 5));
    expect(linesOf(path).map((line) => JSON.parse(line) as unknown)).toEqual(records(1, 5));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is made with its folder, which is for its owner alone', async () => {
    path = join(folder, 'a', 'b', 'audit.jsonl');
    await openSink();
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
  });

  it('that others could read cannot be read by them any more', async () => {
    writeFileSync(path, '');
    chmodSync(path, 0o644);
    await openSink();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is appended to by the next start', async () => {
    await (await openSink()).sink.write(records(1, 2));
    await (await openSink()).sink.write(records(3, 4));
    expect(numbersIn(path)).toEqual([1, 2, 3, 4]);
  });

  it('whose last line was cut off by a crash gets its next record on a line of its own', async () => {
    await (await openSink()).sink.write(records(1, 2));
    truncateSync(path, statSync(path).size - 20);
    await (await openSink()).sink.write(records(3, 3));
    const lines = linesOf(path);
    expect(lines).toHaveLength(3);
    expect(() => JSON.parse(lines[1]!) as unknown).toThrow();
    expect((JSON.parse(lines[2]!) as AuditRecord).number).toBe(3);
  });

  it('holds exactly as many lines as records, whatever texts they bring', async () => {
    const { sink } = await openSink();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        await sink.write([record((number += 1), `${text}\n{"number":99}\r\u2028\u0085\u009b31m`)]);
        const last = linesOf(path).at(-1)!;
        expect(last).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u);
        expect((JSON.parse(last) as AuditRecord).number).toBe(number);
      }),
      { numRuns: 50 },
    );
    expect(linesOf(path)).toHaveLength(number);
  });
});

describe('rotation', () => {
  it('sets the full file aside, keeps as many as asked for and no file beyond its size', async () => {
    const { sink } = await openSink({ max_size: '2KiB', keep: 3 });
    const perFile = Math.floor(2_048 / (JSON.stringify(record(10)).length + 1));
    for (let number = 10; number < 10 + perFile * 6; number += 1) await sink.write([record(number)]);
    expect(readdirSync(folder).sort()).toEqual(['audit.jsonl', 'audit.jsonl.1', 'audit.jsonl.2', 'audit.jsonl.3']);
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(2_048);
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
    const kept = ['.3', '.2', '.1', ''].flatMap((end) => numbersIn(path + end));
    expect(kept).toEqual(Array.from({ length: perFile * 4 }, (_none, index) => 10 + perFile * 2 + index));
  });

  it('happens in the middle of a batch, without losing or doubling a record', async () => {
    const { sink } = await openSink({ max_size: '2KiB', keep: 100 });
    await sink.write(records(1, 100));
    const files = readdirSync(folder).sort((a, b) => Number(b.split('.')[2] ?? 0) - Number(a.split('.')[2] ?? 0));
    expect(files.length).toBeGreaterThan(10);
    expect(files.flatMap((name) => numbersIn(join(folder, name)))).toEqual(records(1, 100).map(({ number }) => number));
  });

  it('gives a record that is larger than a file a file of its own', async () => {
    const { sink } = await openSink({ max_size: '1KiB' });
    await sink.write([record(1), record(2, 'a'.repeat(5_000)), record(3)]);
    expect([numbersIn(`${path}.2`), numbersIn(`${path}.1`), numbersIn(path)]).toEqual([[1], [2], [3]]);
  });

  it('continues in a file that was nearly full at the start', async () => {
    await (await openSink({ max_size: '1KiB' })).sink.write(records(1, 3));
    await (await openSink({ max_size: '1KiB' })).sink.write(records(4, 6));
    expect(numbersIn(`${path}.1`).concat(numbersIn(path))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('by an outsider who moves the file away is followed with a new file', async () => {
    const { sink, messages } = await openSink();
    await sink.write(records(1, 2));
    renameSync(path, `${path}-old`);
    await sink.write(records(3, 4));
    expect([numbersIn(`${path}-old`), numbersIn(path)]).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(messages).toEqual(['The audit file was moved away; a new one is begun.']);
  });

  it('by an outsider who puts another file in its place is followed', async () => {
    const { sink } = await openSink();
    await sink.write(records(1, 2));
    renameSync(path, `${path}-old`);
    writeFileSync(path, '');
    await sink.write(records(3, 4));
    expect(numbersIn(path)).toEqual([3, 4]);
  });
});

describe('failures', () => {
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => null,
      (error: unknown) => (isTowlineError(error) ? error.message : String(error)),
    );

  it('at the start say which file and why', async () => {
    mkdirSync(path);
    expect(await failure(openSink())).toBe(`The audit file ${path} cannot be opened: it is not a plain file.`);
  });

  it('at the start because a folder is in fact a file say so', async () => {
    writeFileSync(join(folder, 'file'), '');
    path = join(folder, 'file', 'audit.jsonl');
    expect(await failure(openSink())).toMatch(/cannot be opened: ENOTDIR/);
  });

  it('are those of a pipe as well, which is not waited for', async () => {
    execFileSync('mkfifo', [path]);
    expect(await failure(openSink())).toContain('it is not a plain file');
  });

  it('while writing lose no record: the batch is written when the path works again, and once', async () => {
    const { sink } = await openSink();
    await sink.write(records(1, 2));
    renameSync(path, `${path}-old`);
    mkdirSync(path);
    expect(await failure(sink.write(records(3, 4)))).toContain('cannot be written');
    rmSync(path, { recursive: true });
    await sink.write(records(3, 4));
    await sink.write(records(3, 5));
    expect(numbersIn(path)).toEqual([3, 4, 5]);
  });

  it('in the middle of a batch neither lose nor double a record, nor delete files, however often it is tried again', async () => {
    const { sink } = await openSink({ max_size: '1KiB', keep: 4 });
    await sink.write(records(1, 1));
    for (const [end, number] of [
      ['.1', 903],
      ['.2', 902],
      ['.3', 901],
    ] as const)
      writeFileSync(
        path + end,
        `${JSON.stringify(record(number))}
`,
      );
    // Deleting the oldest fails: a folder has its name.
    mkdirSync(`${path}.4`);
    for (let round = 0; round < 3; round += 1) expect(await failure(sink.write(records(2, 5)))).toContain('cannot be written');
    rmSync(`${path}.4`, { recursive: true });
    await sink.write(records(2, 5));
    const files = ['.4', '.3', '.2', '.1', ''].filter((end) => existsSync(path + end));
    expect(files.flatMap((end) => numbersIn(path + end))).toEqual([901, 902, 903, 1, 2, 3, 4, 5]);
  });

  it.skipIf(!existsSync('/dev/full'))('of a device that is full are not taken for success', async () => {
    path = '/dev/full';
    expect(await failure(openSink())).toContain('it is not a plain file');
  });

  it('after the end are refused, and the end may come twice, also without a start', async () => {
    const { sink } = await openSink();
    const life = sink as unknown as AsyncDisposable;
    await life[Symbol.asyncDispose]();
    await life[Symbol.asyncDispose]();
    expect(await failure(sink.write(records(1, 1)))).toContain('was closed');
  });
});

describe('options', () => {
  it.each([
    {},
    { path: '' },
    { path: 7 },
    { path: '/x', max_size: 'big' },
    { path: '/x', max_size: '10' },
    { path: '/x', keep: 0 },
    { path: '/x', sise: 1 },
  ])('%j are refused', async (options) => {
    expect((await plugin.options['~standard'].validate(options)).issues).toBeDefined();
  });

  it.each([
    ['100MB', 100_000_000],
    ['1KiB', 1_024],
    ['1.5 GiB', 1_610_612_736],
    ['4096', 4_096],
    ['2gb', 2_000_000_000],
    ['1TB', null],
    ['-1MB', null],
    ['1e9', null],
    ['', null],
    [' 1MB', null],
  ])('size %j is %s bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes);
  });
});
