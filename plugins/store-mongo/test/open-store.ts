import { randomBytes } from 'node:crypto';
import type { StoreHandle } from '@towline/conformance/store-cases';
import { MongoStore, plugin } from '@towline/store-mongo';
import { MongoClient } from 'mongodb';
import type { MongodbServer } from '../../../test/support/mongodb.ts';

/** A name that no other test uses. */
export function databaseName(): string {
  return `towline-test-${randomBytes(8).toString('hex')}`;
}

/** Makes a store by its plugin, as the relay does, and starts it. With `onCommand` it tells of each command. */
export async function openStore(
  uri: string,
  database: string,
  onCommand?: ConstructorParameters<typeof MongoStore>[2],
): Promise<MongoStore> {
  const store = onCommand ? new MongoStore(uri, database, onCommand) : (plugin.create({ uri, database }, {} as never) as MongoStore);
  await store.start(AbortSignal.timeout(60_000));
  return store;
}

/** Runs something on the database beside the store. */
export async function withDatabase<Value>(
  uri: string,
  database: string,
  work: (db: ReturnType<MongoClient['db']>) => Promise<Value>,
): Promise<Value> {
  const client = new MongoClient(uri);
  try {
    return await work(client.db(database));
  } finally {
    await client.close();
  }
}

/** An empty store in a database of its own, for the conformance suite. */
export async function makeStore(
  { uri }: Pick<MongodbServer, 'uri'>,
  onCommand?: ConstructorParameters<typeof MongoStore>[2],
): Promise<StoreHandle> {
  const database = databaseName();
  const stores = [await openStore(uri, database, onCommand)];
  const another = async () => {
    const store = await openStore(uri, database, onCommand);
    stores.push(store);
    return store;
  };
  const closeAll = () => Promise.all(stores.splice(0).map((store) => store[Symbol.asyncDispose]()));
  return {
    store: stores[0]!,
    second: another,
    reopen: async () => {
      await closeAll();
      return another();
    },
    dispose: async () => {
      await closeAll();
      await withDatabase(uri, database, (db) => db.dropDatabase());
    },
  };
}
