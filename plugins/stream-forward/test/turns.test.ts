import fc from 'fast-check';
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
const ada = (signal = never) => ({ account: 'ada', signal });
const bob = (signal = never) => ({ account: 'bob', signal });

describe('turns of works that cannot be taken back', () => {
  it('keep the place of a work that goes on although whoever asked for it has left', async () => {
    const turns = createTurns({ places: 3, each: 3 });
    const { work, begun, endOne } = heldWork();
    for (let at = 0; at < 200; at += 1) {
      const leave = new AbortController();
      const asked = turns(work, ada(leave.signal));
      await settle();
      leave.abort(new Error('left'));
      await expect(asked).rejects.toThrow('left');
    }
    expect(begun()).toBe(3);
    const honest = turns(work, ada());
    endOne();
    await settle();
    expect(begun()).toBe(4);
    for (let at = 0; at < 3; at += 1) endOne();
    expect(await honest).toBe('done');
  });

  it('come back from works that fail, and are not given to whoever has left', async () => {
    const turns = createTurns({ places: 1, each: 1 });
    const fail = () => Promise.reject(new Error('failed'));
    const failed = await Promise.allSettled([1, 2, 3].map(() => turns(fail, ada())));
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const { work, begun } = heldWork();
    await expect(turns(work, ada(AbortSignal.abort(new Error('left'))))).rejects.toThrow('left');
    expect(begun()).toBe(0);
    expect(await turns(async () => 'after', ada())).toBe('after');
  });

  it('leave a place for others, however many works one account has that do not end', async () => {
    const turns = createTurns({ places: 2, each: 1 });
    const stuck = heldWork();
    const asked = Array.from({ length: 100 }, () => turns(stuck.work, ada()));
    await settle();
    expect(stuck.begun()).toBe(1);
    for (let at = 0; at < 5; at += 1) expect(await turns(async () => at, bob())).toBe(at);
    for (const _ of asked) {
      stuck.endOne();
      await settle();
    }
    expect(await Promise.all(asked)).toHaveLength(100);
  });

  it('go round among accounts, in the order in which each asked', async () => {
    const turns = createTurns({ places: 1, each: 1 });
    const order: string[] = [];
    const ask = (account: string, word: string) => turns(async () => void order.push(`${account} ${word}`), { account, signal: never });
    const first = heldWork();
    const asked = [
      turns(first.work, ada()),
      ...[1, 2, 3].map((at) => ask('ada', `${at}`)),
      ...[1, 2].map((at) => ask('bob', `${at}`)),
      ask('eve', '1'),
    ];
    await settle();
    first.endOne();
    await Promise.all(asked);
    expect(order).toEqual(['ada 1', 'bob 1', 'eve 1', 'ada 2', 'bob 2', 'ada 3']);
  });

  it('run no more at a time than they may, and none is lost, whoever asks and leaves', async () => {
    const step = fc.record({ who: fc.nat(3), what: fc.constantFrom('ask', 'leave', 'end') });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, each) => {
        const turns = createTurns({ places: 3, each });
        const running = new Map<number, number>();
        const ends: (() => void)[] = [];
        const asked: { readonly who: number; readonly leave: AbortController; readonly done: Promise<unknown> }[] = [];
        const workOf = (who: number) => async () => {
          running.set(who, (running.get(who) ?? 0) + 1);
          await new Promise<void>((resolve) => ends.push(resolve));
          running.set(who, running.get(who)! - 1);
        };
        for (const { who, what } of steps) {
          if (what === 'end') ends.shift()?.();
          else if (what === 'leave') asked.find((one) => one.who === who && !one.leave.signal.aborted)?.leave.abort(new Error('left'));
          else {
            const leave = new AbortController();
            asked.push({ who, leave, done: turns(workOf(who), { account: `user ${who}`, signal: leave.signal }).catch(() => 'left') });
          }
          await settle();
          expect([...running.values()].reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(3);
          for (const count of running.values()) expect(count).toBeLessThanOrEqual(each);
        }
        const over = Promise.all(asked.map(({ done }) => done)).then(() => true);
        while (!(await Promise.race([over, settle()]))) for (const end of ends.splice(0)) end();
      }),
      { numRuns: 60 },
    );
  });
});
