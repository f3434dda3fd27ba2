import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { acquireProcessLock } from '@towline/config/process-lock';
import { TowlineError } from '@towline/contract';
import { openDataFolder } from '@towline/kernel';
import { readConfig } from '../location.ts';
import type { LocationOptions } from '../program.ts';
import { describeCounts, noRecords, type RecordCounts } from '../store-file/format.ts';
import { placeFile } from '../store-file/place-file.ts';
import { readRecords } from '../store-file/read-records.ts';
import { writeLines } from '../store-file/write-lines.ts';
import { VERSION } from '../version.ts';
import { withStore } from '../with-store.ts';

/** Stands for standard input or output. */
const STANDARD = '-';

/** `towline-relay store export FILE`: also beside a running relay. */
export async function exportStoreCommand(file: string, options: LocationOptions & { readonly force?: boolean }): Promise<void> {
  const signal = untilEnded();
  let counts: RecordCounts = noRecords();
  await withStore(options, async ({ store, clock }) => {
    const lines = writeLines(store.export(signal), { relay: VERSION, at: new Date(clock.now()).toISOString() });
    const content = keepingResult(lines, (result) => {
      counts = result;
    });
    if (file === STANDARD) await toStdout(content, signal);
    else await placeFile(file, content, { force: options.force === true });
  });
  process.stderr.write(`exported ${describeCounts(counts)}\n`);
}

/** `towline-relay store import FILE`: into an empty store that no relay uses. */
export async function importStoreCommand(file: string, options: LocationOptions): Promise<void> {
  const signal = untilEnded();
  // A file is read to its end before anything is written. What comes by a pipe can only be read once: then the import is undone.
  if (file !== STANDARD && (await isRegular(file))) await checkFile(file, signal);
  const { dataDir } = readConfig(options);
  await openDataFolder(dataDir);
  await using _lock = await acquireProcessLock(join(dataDir, 'relay.lock'));
  let counts: RecordCounts = noRecords();
  await withStore(options, async ({ store }) => {
    const records = keepingResult(readRecords(inputOf(file)), (result) => {
      counts = result;
    });
    await store.import(records, signal);
  });
  process.stderr.write(`imported ${describeCounts(counts)}\n`);
}

/** `towline-relay store backup FILE`: also beside a running relay. */
export async function backupStoreCommand(file: string, options: LocationOptions): Promise<void> {
  const signal = untilEnded();
  const path = resolve(file);
  await withStore(options, async ({ store }) => {
    if (store.backup === undefined) throw noBackup();
    if (store.schema?.from === 0) throw nothingThere();
    await store.backup(path, signal);
  });
  process.stderr.write(`backed up ${(await stat(path)).size} bytes to ${path}\n`);
}

/** `towline-relay store migrate`: opening the store brings its schema up to date. */
export async function migrateStoreCommand(options: LocationOptions): Promise<void> {
  const schema = await withStore(options, async ({ store }) => store.schema);
  if (schema === undefined) process.stdout.write('the store has no schema of its own: nothing to do\n');
  else if (schema.from === schema.to) process.stdout.write(`the store has schema ${schema.to}: nothing to do\n`);
  else process.stdout.write(`the store was brought from schema ${schema.from} to ${schema.to}\n`);
}

function noBackup(): TowlineError {
  return new TowlineError('invalid_request', 'The store of this relay writes no backups: its database has a tool of its own for that.', {
    hint: 'For MongoDB use mongodump. `towline-relay store export` writes a portable copy of any store.',
  });
}

function nothingThere(): TowlineError {
  return new TowlineError('not_found', 'There was no store to back up: it has just been made, and is empty.', {
    hint: 'Name the config or the data folder of the relay with --config or --data.',
  });
}

async function toStdout(content: AsyncIterable<Buffer>, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(Readable.from(content), process.stdout, { end: false, signal });
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    throw new TowlineError('data_unwritable', 'Standard output was closed before the export was whole.', { cause: error });
  }
}

async function checkFile(file: string, signal: AbortSignal): Promise<void> {
  for await (const _ of readRecords(inputOf(file))) signal.throwIfAborted();
}

/** A file that cannot be read is told with its name. */
async function* inputOf(file: string): AsyncGenerator<Buffer> {
  try {
    yield* (file === STANDARD ? process.stdin : createReadStream(file)) as AsyncIterable<Buffer>;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

async function isRegular(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): TowlineError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new TowlineError(code === 'ENOENT' ? 'not_found' : 'invalid_request', `${file} cannot be read (${code}).`, {
    hint: 'Name a file that `towline-relay store export` wrote, or - for standard input.',
    cause,
  });
}

/** Passes on what a generator yields, and hands over what it returns. */
async function* keepingResult<Item, Result>(items: AsyncGenerator<Item, Result>, keep: (result: Result) => void): AsyncGenerator<Item> {
  keep(yield* items);
}

/** Aborts when the command is interrupted, so that nothing is left half done. */
function untilEnded(): AbortSignal {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => ending.abort(new TowlineError('cancelled', 'The command was interrupted; nothing was left behind.')));
  }
  return ending.signal;
}
