import { setTimeout as wait } from 'node:timers/promises';
import { cancellation } from '@towline/link';

/** Waits so many milliseconds. @throws TowlineError the reason of the signal, when it aborts before. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(ms, undefined, { signal });
  } catch {
    throw cancellation(signal);
  }
}
