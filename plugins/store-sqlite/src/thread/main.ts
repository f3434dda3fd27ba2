import { parentPort } from 'node:worker_threads';
import type { FromThread, Request, ThreadSettings } from '../thread-messages.ts';
import { encodeError } from './fault.ts';
import { createGroupCommit } from './group-commit.ts';
import { openDatabase } from './open-database.ts';
import { readOperations, writeOperations } from './operations.ts';
import { createReading } from './reading.ts';
import { RequestQueue } from './request-queue.ts';
import { withEmptyLog } from './scrub.ts';
import { Statements } from './statements.ts';

const port = parentPort!;
const send = (message: FromThread) => port.postMessage(message);

function serve(settings: ThreadSettings): void {
  const database = openDatabase(settings);
  const statements = new Statements(database);
  const work =
    settings.role === 'writer'
      ? withEmptyLog(database, createGroupCommit(database, writeOperations(statements)))
      : createReading(database, readOperations(statements, settings.path));
  const queue = new RequestQueue((requests) => send({ type: 'replies', ...work(requests) }));
  port.on('message', (message: readonly Request[] | 'close') => {
    if (message !== 'close') return queue.add(message);
    queue.finish();
    if (settings.role === 'writer') database.pragma('wal_checkpoint(PASSIVE)');
    database.close();
    port.close();
  });
}

port.once('message', (settings: ThreadSettings) => {
  try {
    serve(settings);
    send({ type: 'opened' });
  } catch (error) {
    send({ type: 'failed', error: encodeError(error) });
    port.close();
  }
});
