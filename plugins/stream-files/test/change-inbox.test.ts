import { afterEach, describe, expect, it, vi } from 'vitest';
import { createChangeInbox } from '../src/sync/change-inbox.ts';
import { createRunsOwed } from '../src/sync/runs-owed.ts';
import { Coverage } from '../src/tree/coverage.ts';

const HOUR_MS = 3_600_000;
function coverageOf(...folders: readonly string[]): Coverage {
  return Coverage.of({ names: [], folders: folders.map((path) => Buffer.from(path)), trees: [] });
}
const heard = (...folders: readonly string[]) => ({ isComplete: true, coverage: coverageOf(...folders), isLook: false });
const look = { isComplete: true, coverage: Coverage.whole(), isLook: true };

afterEach(() => void vi.useRealTimers());

describe('changes that wait for a run', () => {
  it('are one, wherever they were heard of', async () => {
    const inbox = createChangeInbox();
    inbox.put(heard('a'));
    inbox.put({ ...heard('b'), isComplete: false });
    const { coverage, isComplete } = await inbox.take();
    expect(coverage.toText()).toEqual({ names: [], folders: ['a', 'b'], trees: [] });
    expect(isComplete).toBe(false);
  });

  it('that were heard of come before what a look has found', async () => {
    const inbox = createChangeInbox();
    inbox.put(look);
    inbox.put(heard('a'));
    expect(await inbox.take()).toMatchObject({ isLook: false });
    expect(await inbox.take()).toMatchObject({ isLook: true });
  });

  it('that a look has found wait as long as they shall, and those that were heard of do not', async () => {
    const inbox = createChangeInbox();
    inbox.delayLooks(HOUR_MS);
    const taken = inbox.take();
    inbox.put(look);
    inbox.put(heard('a'));
    expect(await taken).toMatchObject({ isLook: false });
    const later = inbox.take();
    inbox.delayLooks(0);
    inbox.put(look);
    expect(await later).toMatchObject({ isLook: true });
  });

  it('that a look has found are not put off for ever by those that are heard of all the while, and are one with them then', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const inbox = createChangeInbox();
    inbox.put(look);
    for (let second = 0; second < 300; second += 1) {
      inbox.put(heard('log'));
      const { coverage } = await inbox.take();
      if (coverage.isWhole) break;
      vi.advanceTimersByTime(1_000);
    }
    expect(performance.now()).toBeLessThan(120_000);
    inbox.put(heard('next'));
    expect((await inbox.take()).coverage.toText()).toEqual({ names: [], folders: ['next'], trees: [] });
  });

  it('that are heard of are told whoever wants to give way to them, looks are not', () => {
    const inbox = createChangeInbox();
    let told = 0;
    inbox.onHeard(() => (told += 1));
    inbox.put(look);
    expect(told).toBe(0);
    inbox.put(heard('a'));
    expect(told).toBe(1);
    inbox.onHeard(null);
    inbox.put(heard('b'));
    expect(told).toBe(1);
  });

  it('end with what ended them', async () => {
    const inbox = createChangeInbox();
    const taken = inbox.take();
    inbox.fail(new Error('the way is gone'));
    await expect(taken).rejects.toThrow('the way is gone');
  });
});

describe('what runs owe', () => {
  const sync = { delete: true };
  const none = () => ({ failed: new Coverage(), missing: new Coverage() });

  it('is nothing, when nothing failed', () => {
    const owed = createRunsOwed(sync);
    expect(owed.settle({ coverage: owed.with(coverageOf('a')), unsettled: none() }, false)).toBeNull();
    expect(owed.with(coverageOf('b')).toText()).toEqual({ names: [], folders: ['b'], trees: [] });
  });

  it('is what failed, in each run until it does not, and then what was not deleted because of it', () => {
    const owed = createRunsOwed(sync);
    const failed = coverageOf('broken');
    expect(owed.settle({ coverage: owed.with(coverageOf('a')), unsettled: { ...none(), failed } }, true)).toBeNull();
    const next = owed.with(coverageOf('b'));
    expect(next.toText()).toEqual({ names: [], folders: ['b', 'broken'], trees: [] });
    expect(owed.settle({ coverage: next, unsettled: { ...none(), failed } }, true)).toBeNull();
    const last = owed.with(coverageOf('c'));
    expect(last.toText()).toEqual({ names: [], folders: ['c', 'broken'], trees: [] });
    const again = owed.settle({ coverage: last, unsettled: none() }, false);
    expect(again?.toText()).toEqual({ names: [], folders: ['a', 'b', 'broken'], trees: [] });
    expect(owed.settle({ coverage: again!, unsettled: none() }, false)).toBeNull();
  });

  it('is what the receiver lacked, at once, but not for ever', () => {
    const owed = createRunsOwed(sync);
    const unsettled = { ...none(), missing: coverageOf('lost') };
    let next: Coverage | null = owed.with(coverageOf('a'));
    let runs = 0;
    for (; next !== null && runs < 100; runs += 1) next = owed.settle({ coverage: next, unsettled }, false);
    expect(runs).toBeLessThan(10);
    expect(runs).toBeGreaterThan(1);
  });
});
