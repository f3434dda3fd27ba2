import type { Clock } from '@towline/contract';

/** Something fetched and kept, read anew from time to time, at a bounded rate whatever is asked. */
export interface Refreshed<Value> {
  /** The value, fetched when there is none or it is old; the old one when that fails. @throws what fetching failed with. */
  get(): Promise<Value>;
  /**
   * Fetches anew since the value lacks something, unless that was done a moment ago. @returns the value there is then.
   * @throws what fetching failed with, also for a while after it failed.
   */
  renew(): Promise<Value>;
}

/** Times of a {@link Refreshed}, milliseconds. */
export interface RefreshTimes {
  /** Age from which it is fetched anew when it is asked for. */
  readonly maxAgeMs: number;
  /** Between two attempts where there is no value yet. */
  readonly retryMs: number;
  /** Between two attempts where there is one. */
  readonly renewMs: number;
}

interface Failure {
  readonly at: number;
  readonly error: unknown;
}

/** Makes a {@link Refreshed}. `failed` hears of every attempt that failed. Callers at one time share one attempt. */
export function createRefreshed<Value>(
  load: () => Promise<Value>,
  clock: Clock,
  times: RefreshTimes,
  failed: (error: unknown) => void,
): Refreshed<Value> {
  let held: { readonly value: Value; readonly at: number } | undefined;
  let failure: Failure | undefined;
  let renewedAt: number | undefined;
  let running: Promise<Value> | undefined;
  // A clock that was set back must not silence it.
  const within = (ms: number, at: number | undefined) => at !== undefined && clock.now() >= at && clock.now() - at < ms;

  async function attempt(): Promise<Value> {
    try {
      const value = await load();
      held = { value, at: clock.now() };
      failure = undefined;
      return value;
    } catch (error) {
      failure = { at: clock.now(), error };
      failed(error);
      throw error;
    } finally {
      running = undefined;
    }
  }
  const fetchAnew = () => (running ??= attempt());

  return {
    async get() {
      if (held === undefined) {
        if (failure !== undefined && within(times.retryMs, failure.at)) throw failure.error;
        return fetchAnew();
      }
      const { value, at } = held;
      if (within(times.maxAgeMs, at) || within(times.renewMs, failure?.at)) return value;
      return fetchAnew().catch(() => value);
    },
    async renew() {
      if (running !== undefined) return running;
      if (failure !== undefined && within(times.renewMs, failure.at)) throw failure.error;
      if (held !== undefined && within(times.renewMs, renewedAt)) return held.value;
      renewedAt = clock.now();
      return fetchAnew();
    },
  };
}
