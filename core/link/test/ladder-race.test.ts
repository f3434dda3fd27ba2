import type { DialTransport, Link } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { raceRungs } from '../src/ladder/race.ts';
import { planTurns } from '../src/ladder/turns.ts';
import { ladderRequest } from './ladder-doors.ts';

const relay = new URL('https://relay.example.com');

describe('the order of turns', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const order = fc.record({
    count: fc.integer({ min: 1, max: 5 }),
    remembered: fc.option(fc.constantFrom(...names), { nil: undefined }),
    shunned: fc.uniqueArray(fc.constantFrom(...names)),
  });

  it('has every rung once, the shunned last, else the remembered first and the best before the worse', () => {
    fc.assert(
      fc.property(order, ({ count, remembered, shunned }) => {
        const rungs = names.slice(0, count).map((name) => ({ name, dial: () => Promise.reject(new Error()) }));
        const turns = planTurns({ rungs, remembered, shunned: new Set(shunned) }).map(({ transport }) => transport.name);
        expect([...turns].sort()).toEqual(names.slice(0, count));
        const good = turns.filter((name) => !shunned.includes(name));
        expect(turns.slice(0, good.length)).toEqual(good);
        const [first, ...others] = good;
        if (remembered !== undefined && good.includes(remembered)) expect(first).toBe(remembered);
        else if (good.length > 0) expect(good).toEqual([...good].sort());
        expect(others).toEqual([...others].sort());
      }),
    );
  });
});

interface Script {
  /** From the beginning of the attempt, milliseconds. */
  readonly afterMs: number;
  readonly outcome: 'link' | 'unreachable' | 'revoked';
  /** Delivers although its signal aborted. */
  readonly heedless: boolean;
}

const script: fc.Arbitrary<Script> = fc.record({
  afterMs: fc.integer({ min: 1, max: 1_000 }),
  outcome: fc.constantFrom('link', 'unreachable', 'revoked'),
  heedless: fc.boolean(),
});

/** Transports that do as scripted, on a clock under the test's hand. */
function play(scripts: readonly Script[]) {
  const open = new Set<string>();
  const dialling = new Set<string>();
  const begunMs = new Map<string, number>();
  const rungs = scripts.map(({ afterMs, outcome, heedless }, at): DialTransport => {
    const name = String(at);
    return {
      name,
      dial: ({ signal }) =>
        new Promise((resolve, reject) => {
          begunMs.set(name, Date.now());
          dialling.add(name);
          const settle = () => {
            dialling.delete(name);
            if (outcome === 'revoked') return reject(new TowlineError('key_revoked'));
            if (outcome === 'unreachable') return reject(new TowlineError('relay_unreachable'));
            open.add(name);
            resolve({ close: async () => void open.delete(name) } as unknown as Link);
          };
          const timer = setTimeout(settle, afterMs);
          if (heedless) return;
          signal.addEventListener('abort', () => {
            clearTimeout(timer);
            dialling.delete(name);
            reject(signal.reason);
          });
        }),
    };
  });
  return { rungs, open, dialling, begunMs };
}

/** When each begins and how it all ends, worked out from the rules alone. */
function expected(scripts: readonly Script[], headStartMs: number) {
  const begins: number[] = [];
  const ends = () => begins.map((begin, at) => ({ at, ms: begin + scripts[at]!.afterMs }));
  let nextMs = 0;
  for (let at = 0; at < scripts.length; at += 1) {
    const over = ends().filter((end) => end.ms <= nextMs && scripts[end.at]!.outcome !== 'unreachable');
    if (over.length > 0) break;
    begins.push(nextMs);
    const end = nextMs + scripts[at]!.afterMs;
    nextMs = scripts[at]!.outcome === 'unreachable' ? Math.min(nextMs + headStartMs, end) : nextMs + headStartMs;
  }
  const decisive = ends().filter(({ at }) => scripts[at]!.outcome !== 'unreachable');
  return { begins, decidedMs: decisive.length === 0 ? null : Math.min(...decisive.map(({ ms }) => ms)), ends: ends() };
}

describe('the race', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is decided by the first answer that counts, and leaves one link at most, no attempt and no timer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4 }), async (scripts) => {
        vi.setSystemTime(0);
        const { rungs, open, dialling, begunMs } = play(scripts);
        const turns = planTurns({ rungs });
        const { signal } = new AbortController();
        const ended = raceRungs(turns, { ...ladderRequest(signal), relay }).then(
          (end) => ({ ms: Date.now(), end }),
          (error: TowlineError) => ({ ms: Date.now(), error }),
        );
        await vi.advanceTimersByTimeAsync(10_000);
        const result = await ended;
        const { decidedMs, begins, ends } = expected(scripts, 300);
        const last = Math.max(...ends.map(({ ms }) => ms));
        expect(result.ms).toBe(decidedMs ?? last);
        // Rungs that would begin in the very millisecond of the decision may or may not.
        const certain = begins.filter((ms) => ms < result.ms || ms === 0);
        expect([...begunMs.values()].slice(0, certain.length)).toEqual(certain);
        if ('error' in result) expect(result.error.code).toBe('key_revoked');
        else if (result.end.won === null) expect(result.end.failures.size).toBe(scripts.length);
        else expect(scripts[Number(result.end.won.transport)]!.outcome).toBe('link');
        expect([...open]).toEqual('end' in result && result.end.won !== null ? [result.end.won.transport] : []);
        expect([...dialling]).toEqual([]);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
