import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log, Store } from '@towline/contract';
import { plugin, type SqliteStore } from '@towline/store-sqlite';

/** A log whose lines a test can look at. */
export interface KeptLog extends Log {
  readonly lines: string[];
}

/** Makes a log that keeps its messages. */
export function createKeptLog(): KeptLog {
  const lines: string[] = [];
  const keep = (message: string) => void lines.push(message);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** A SQLite store in a folder of its own. */
export interface StoreHere extends AsyncDisposable {
  readonly store: SqliteStore;
}

/** Opens an empty store. */
export async function openStoreHere(): Promise<StoreHere> {
  const dir = await mkdtemp(join(tmpdir(), 'towline-kernel-'));
  const store = plugin.create({}, { dataDir: dir, baseDir: dir, log: createKeptLog(), clock: { now: Date.now } } as never) as SqliteStore;
  await store.start(AbortSignal.timeout(30_000));
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await rm(dir, { recursive: true });
    },
  };
}

/** The same store, in which one method first does what `before` says, which may throw. */
export function withFault<Name extends 'users' | 'devices' | 'organisations' | 'revocations' | 'secrets'>(
  store: Store,
  place: Name,
  method: keyof Store[Name],
  before: () => void,
): Store {
  const part = new Proxy(store[place], {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === method) before();
        return (value as (...all: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  return new Proxy(store, {
    get(target, name) {
      if (name === place) return part;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}
