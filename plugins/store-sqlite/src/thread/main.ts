import { parentPort } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { FromThread, Reply, Request, SchemaChange, ThreadSettings } from '../thread-messages.ts';
import { copyOperations } from './copy.ts';
import { exportOperations } from './export.ts';
import { encodeError } from './fault.ts';
import { createGroupCommit, type Work } from './group-commit.ts';
import { importOperations } from './import.ts';
import { openDatabase } from './open-database.ts';
import { readOperations, writeOperations } from './operations.ts';
import { createPlainWork } from './plain-work.ts';
import { createReading } from './reading.ts';
import { RequestQueue } from './request-queue.ts';
import { withEmptyLog } from './scrub.ts';
import { createSlowWork } from './slow-work.ts';
import { Statements } from './statements.ts';

const port = parentPort!;
const send = (message: FromThread) => port.postMessage(message);

function workOf({ role, path }: ThreadSettings, database: Database): Work {
  const statements = new Statements(database);
  if (role === 'writer') return withEmptyLog(database, createGroupCommit(database, writeOperations(statements)));
  if (role === 'reader') return createReading(database, readOperations(statements, path));
  return createPlainWork(role === 'exporter' ? exportOperations(database) : importOperations(database));
}

const reply = (replies: readonly Reply[]) => send({ type: 'replies', replies, commits: 0 });

function grouped(settings: ThreadSettings, database: Database): (requests: readonly Request[]) => void {
  const work = workOf(settings, database);
  return (requests) => send({ type: 'replies', ...work(requests) });
}

function serve(settings: ThreadSettings): SchemaChange | null {
  const { database, schema } = openDatabase(settings);
  const queue = new RequestQueue(
    settings.role === 'copier' ? createSlowWork(copyOperations(database), reply) : grouped(settings, database),
  );
  port.on('message', (message: readonly Request[] | 'close') => {
    if (message !== 'close') return queue.add(message);
    queue.finish();
    if (settings.role === 'writer') database.pragma('wal_checkpoint(PASSIVE)');
    database.close();
    port.close();
  });
  return schema;
}

port.once('message', (settings: ThreadSettings) => {
  try {
    send({ type: 'opened', schema: serve(settings) });
  } catch (error) {
    send({ type: 'failed', error: encodeError(error) });
    port.close();
  }
});
