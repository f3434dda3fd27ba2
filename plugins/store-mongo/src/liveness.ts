import { setTimeout as wait } from 'node:timers/promises';
import type { MongoClient } from 'mongodb';
import { PING_MS, SILENCE_MS } from './limits.ts';
import { within } from './within.ts';

const RETRY_MS = 1_000;

/** Follows whether the server answers at all. */
export interface Liveness extends AsyncDisposable {
  /** The server has answered, be it with a refusal. */
  answered(): void;
  /** A call got no answer. */
  missed(): void;
}

/**
 * Begins anew with all connections when calls got no answer for a while. The driver comes back by itself from most of what
 * can happen, but where it writes to a socket in the moment in which that is closed from afar it waits for ever, and with it, where it
 * was the one that looks whether the server is back, every later call.
 */
export function followLiveness(client: MongoClient, clock: () => number = () => performance.now()): Liveness {
  const ending = new AbortController();
  let silentSince: number | null = null;
  let reviving: Promise<void> | null = null;
  return {
    answered() {
      silentSince = null;
    },
    missed() {
      silentSince ??= clock();
      if (reviving !== null || ending.signal.aborted || clock() - silentSince < SILENCE_MS) return;
      reviving = revive(client, ending.signal).finally(() => {
        reviving = null;
        silentSince = null;
      });
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await reviving;
    },
  };
}

async function revive(client: MongoClient, ending: AbortSignal): Promise<void> {
  // Whatever does not end is left behind.
  await within(PING_MS, client.close()).catch(() => undefined);
  while (!ending.aborted) {
    const isBack = await client.connect().then(
      () => true,
      () => false,
    );
    if (isBack) return;
    await wait(RETRY_MS, undefined, { signal: ending }).catch(() => undefined);
  }
}
