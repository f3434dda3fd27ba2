import { describe, expect, it } from 'vitest';
import { createTurns } from '../src/device/turns.ts';

/** A work that goes on until it is let go. */
function heldWork() {
  let begun = 0;
  const ends: (() => void)[] = [];
  const work = () => {
    begun += 1;
    return new Promise<string>((resolve) => ends.push(() => resolve('done')));
  };
  return { work, begun: () => begun, endOne: () => ends.shift()!() };
}
const settle = () => new Promise((later) => setImmediate(later));
const never = new AbortController().signal;

describe('turns of works that cannot be taken back', () => {
  it('keep the place of a work that goes on although whoever asked for it has left', async () => {
    const turns = createTurns(3);
    const { work, begun, endOne } = heldWork();
    for (let at = 0; at < 200; at += 1) {
      const leave = new AbortController();
      const asked = turns(work, leave.signal);
      await settle();
      leave.abort(new Error('left'));
      await expect(asked).rejects.toThrow('left');
    }
    expect(begun()).toBe(3);
    const honest = turns(work, never);
    endOne();
    await settle();
    expect(begun()).toBe(4);
    for (let at = 0; at < 3; at += 1) endOne();
    expect(await honest).toBe('done');
  });

  it('come back from works that fail, and are not given to whoever has left', async () => {
    const turns = createTurns(1);
    const fail = () => Promise.reject(new Error('failed'));
    const failed = await Promise.allSettled([1, 2, 3].map(() => turns(fail, never)));
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const { work, begun } = heldWork();
    await expect(turns(work, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    expect(begun()).toBe(0);
    expect(await turns(async () => 'after', never)).toBe('after');
  });
});
