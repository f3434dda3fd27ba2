import assert from 'node:assert/strict';
import { type ErrorCode, isTowlineError } from '@towline/protocol';

/** Fails unless the promise is rejected with a TowlineError of this code. */
export async function rejectsWith(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  const outcome = await promise.then(
    () => 'a result',
    (error: unknown) => (isTowlineError(error) ? error.code : String(error)),
  );
  assert.equal(outcome, code);
}

/** Runs `count` calls at one time and answers their values, or the code of the TowlineError of those that failed. */
export async function race<Value>(count: number, call: (n: number) => Promise<Value>): Promise<(Value | ErrorCode)[]> {
  const settled = await Promise.allSettled(Array.from({ length: count }, (_, n) => call(n)));
  return settled.map((one) => {
    if (one.status === 'fulfilled') return one.value;
    if (isTowlineError(one.reason)) return one.reason.code;
    throw one.reason;
  });
}

/** How many of the values are the given one. */
export function count(values: readonly unknown[], wanted: unknown): number {
  return values.filter((value) => value === wanted).length;
}
