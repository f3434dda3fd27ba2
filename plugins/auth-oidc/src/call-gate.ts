import type { TowlineError } from '@towline/protocol';

/** Calls to one endpoint at once. Beyond, callers are told to come again. */
const MAX_IN_FLIGHT = 32;

/** Lets calls to an endpoint through: a bounded number at once, and equal ones only once at a time. */
export interface CallGate {
  /** Runs `call`, or shares the run under way for the same key. @throws what it fails with, or `full()`. */
  run<Value>(key: string, call: () => Promise<Value>): Promise<Value>;
}

/** Makes a gate. `full()` is thrown where too many are under way, `failed` hears of each failure. One caller's failure is no other's. */
export function createCallGate(full: () => TowlineError, failed: (error: unknown) => void): CallGate {
  const running = new Map<string, Promise<unknown>>();

  async function watch<Value>(key: string, call: () => Promise<Value>): Promise<Value> {
    try {
      return await call();
    } catch (error) {
      failed(error);
      throw error;
    } finally {
      running.delete(key);
    }
  }

  return {
    async run<Value>(key: string, call: () => Promise<Value>) {
      const shared = running.get(key) as Promise<Value> | undefined;
      if (shared !== undefined) return shared;
      if (running.size >= MAX_IN_FLIGHT) throw full();
      const started = watch(key, call);
      running.set(key, started);
      return started;
    },
  };
}
