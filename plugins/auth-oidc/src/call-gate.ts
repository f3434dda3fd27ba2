import type { Clock } from '@towline/contract';
import { isTowlineError, type TowlineError } from '@towline/protocol';

/** Calls to one endpoint at once. Beyond, callers are told to come again. */
const MAX_IN_FLIGHT = 32;
/** After a failure the endpoint is left alone for this long, milliseconds. */
const PAUSE_MS = 1_000;

/** Lets calls to an endpoint through: a bounded number at once, none just after one failed, equal ones only once at a time. */
export interface CallGate {
  /** Runs `call`, or shares the run under way for the same key. @throws what it fails with, or `provider_unavailable`. */
  run<Value>(key: string, call: () => Promise<Value>): Promise<Value>;
}

/** Makes a gate. `full()` is thrown where too many are under way, `failed` hears of each failure. */
export function createCallGate(clock: Clock, full: () => TowlineError, failed: (error: unknown) => void): CallGate {
  const running = new Map<string, Promise<unknown>>();
  let failure: { readonly at: number; readonly error: unknown } | undefined;

  async function watch<Value>(key: string, call: () => Promise<Value>): Promise<Value> {
    try {
      return await call();
    } catch (error) {
      if (isTowlineError(error) && error.code === 'provider_unavailable') failure = { at: clock.now(), error };
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
      const now = clock.now();
      if (failure !== undefined && now >= failure.at && now - failure.at < PAUSE_MS) throw failure.error;
      if (running.size >= MAX_IN_FLIGHT) throw full();
      const started = watch(key, call);
      running.set(key, started);
      return started;
    },
  };
}
