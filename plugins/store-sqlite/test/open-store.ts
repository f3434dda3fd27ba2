import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreHandle } from '@towline/conformance/store-cases';
import type { Log } from '@towline/contract';
import { plugin, type SqliteStore } from '@towline/store-sqlite';

const quiet = () => undefined;
/** A log that keeps nothing. */
export const silentLog: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
/** Moment that the clock of the tests shows. */
export const NOW = 1_800_000_000_000;

/** Makes a store by its plugin, as the relay does. Not started. */
export function createStore(dataDir: string, options: { readonly path?: string } = {}): SqliteStore {
  return plugin.create(options, { dataDir, baseDir: dataDir, log: silentLog, clock: { now: () => NOW } } as never) as SqliteStore;
}

/** Opens a store in a folder. */
export async function openStore(dataDir: string, options: { readonly path?: string } = {}): Promise<SqliteStore> {
  const store = createStore(dataDir, options);
  await store.start(AbortSignal.timeout(30_000));
  return store;
}

/** An empty folder below the one for temporary files. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'towline-store-'));
}

/** An empty store in a folder of its own, for the conformance suite. */
export async function makeStore(): Promise<StoreHandle> {
  const folder = await temporaryFolder();
  const stores = [await openStore(folder)];
  const another = async () => {
    const store = await openStore(folder);
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
      await rm(folder, { recursive: true });
    },
  };
}
