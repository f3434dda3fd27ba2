import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MongoStore } from '@towline/store-mongo';
import { MongoClient } from 'mongodb';
import type { MongodbServer } from './mongodb.ts';
import type { Finished } from './process.ts';
import { runRelay, startRelayOn } from './relay-process.ts';
import type { TestRelay } from './system.ts';

/** A database of one test, for relays with data folders of their own. */
export interface RelayDatabase {
  readonly name: string;
  /** Starts a relay, or the one of that name again. */
  start(name: string, options?: { readonly port?: number }): Promise<TestRelay>;
  /** Runs `towline-relay COMMAND` on the data folder and the database of a relay. */
  run(name: string, args: readonly string[]): Promise<Finished>;
  /** Deletes it from the server, which may be one that stays. */
  drop(): Promise<void>;
}

/** A database that nobody uses yet. The relays share an encryption key, as those on one database must. */
export function relayDatabase(dir: string, { uri }: Pick<MongodbServer, 'uri'>): RelayDatabase {
  const database = `towline-test-${randomBytes(8).toString('hex')}`;
  const config = join(dir, `${database}.yaml`);
  writeFileSync(config, `store: { use: mongo, database: ${database} }\n`);
  const env = { TOWLINE_MONGODB_URI: uri, TOWLINE_ENCRYPTION_KEY: randomBytes(32).toString('base64') };
  const dataOf = (name: string) => join(dir, `${database}-${name}`);
  return {
    name: database,
    start: (name, { port = 0 } = {}) => startRelayOn(dataOf(name), { config, env, port }),
    run: (name, args) => runRelay([...args, '--config', config, '--data', dataOf(name)], { env }),
    async drop() {
      const client = new MongoClient(uri);
      await client.db(database).dropDatabase();
      await client.close();
    },
  };
}

/** The store of a relay beside it, as another process has it. */
export async function openMongoStore(uri: string, name: string): Promise<MongoStore> {
  const store = new MongoStore(uri, name);
  await store.start(new AbortController().signal);
  return store;
}
