import type { ByteStream, Link } from '@towline/contract';
import { type ErrorCode, TowlineError } from '@towline/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { createReconnectPolicy, keepLinked, type LinkState } from '../src/reconnect.ts';
import { type LinkedPair, linkedPair, within } from './linked-pair.ts';

/** A wait of the loop, in the hand of the test. */
interface Wait {
  readonly ms: number;
  /** Its time is up. */
  end(): void;
}

/** A clock that stands still until a wait is ended. */
function createWaits() {
  const pending: Wait[] = [];
  const waiting: (() => void)[] = [];
  return {
    pending,
    sleep: (ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const leave = () => pending.splice(pending.indexOf(wait), 1);
        const onAbort = () => {
          leave();
          reject(signal.reason);
        };
        const wait: Wait = {
          ms,
          end() {
            leave();
            signal.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        pending.push(wait);
        signal.addEventListener('abort', onAbort, { once: true });
        for (const look of waiting.splice(0)) look();
      }),
    /** The next wait that fits. */
    async next(fits: (ms: number) => boolean): Promise<Wait> {
      for (;;) {
        const found = pending.find(({ ms }) => fits(ms));
        if (found !== undefined) return found;
        await within(new Promise<void>((resolve) => waiting.push(resolve)), 'a wait');
      }
    },
  };
}

const isProbe = (ms: number) => ms >= 7_500;
const isLook = (ms: number) => ms === 1_000;

/** A device's side that is kept linked, and the relay's ends of its links. */
class Stage {
  readonly waits = createWaits();
  readonly states: string[] = [];
  /** Links in the order in which they were dialled. */
  readonly pairs: LinkedPair[] = [];
  readonly places: boolean[] = [];
  readonly stop = new AbortController();
  /** Monotonic time, which stands still as the waits do. */
  nowMs = 0;
  /** What an attempt at a better link comes to; a link when undefined. */
  betterFault: TowlineError | undefined;
  /** Whether a link is taken up at once. */
  welcoming = true;
  readonly done: Promise<TowlineError | null>;
  #waiting: (() => void)[] = [];

  constructor(random = 0.5) {
    this.done = keepLinked({
      dial: () => this.#dial(),
      betterThan: (present) => (present === this.best ? null : () => this.#dialBetter()),
      serve: (link, over, place) => this.#serve(link, over, place),
      onState: (state) => this.#note(state),
      policy: createReconnectPolicy(() => 0),
      hopeless: new Set<ErrorCode>(['device_removed']),
      sleep: this.waits.sleep,
      nowMs: () => this.nowMs,
      random: () => random,
      signal: this.stop.signal,
    }).then(
      () => null,
      (error: unknown) => error as TowlineError,
    );
  }

  /** The link of which nothing is better. */
  best: Link | undefined;

  async until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), what);
  }

  /** Welcomes the device on a link, as the relay does. */
  welcome(pair: LinkedPair): void {
    pair.opener.openStream(Buffer.from('welcome')).on('error', () => undefined);
  }

  /** A stream on which the device sends back what it is sent. */
  talk(pair: LinkedPair): { stream: ByteStream; say: (text: string) => Promise<string> } {
    const stream = pair.opener.openStream(Buffer.from('echo'));
    stream.on('error', () => undefined);
    const say = (text: string) => {
      const answer = new Promise<string>((resolve, reject) => {
        stream.once('data', (bytes: Buffer) => resolve(bytes.toString()));
        stream.once('error', reject);
      });
      stream.write(text);
      return within(answer, 'an answer');
    };
    return { stream, say };
  }

  /** Ends the wait before the next attempt at a better link. */
  async probe(): Promise<number> {
    const wait = await this.waits.next(isProbe);
    wait.end();
    return wait.ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop.abort();
    await within(this.done, 'the end of the loop');
    for (const pair of this.pairs) await pair[Symbol.asyncDispose]();
  }

  async #dial(): Promise<Link> {
    const pair = await linkedPair();
    this.pairs.push(pair);
    if (this.welcoming) this.welcome(pair);
    this.#changed();
    return pair.acceptor;
  }

  async #dialBetter(): Promise<Link> {
    if (this.betterFault) throw this.betterFault;
    this.best = await this.#dial();
    return this.best;
  }

  async #serve(link: Link, over: AbortSignal, place: { readonly beside: boolean; ready(): void }): Promise<void> {
    this.places.push(place.beside);
    this.#changed();
    link.onStream((stream) => {
      stream.on('error', () => undefined);
      if (stream.head.toString() === 'welcome') place.ready();
      else stream.pipe(stream);
    });
    await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  }

  #note(state: LinkState): void {
    this.states.push('error' in state ? `${state.state}:${state.error.code}` : state.state);
    this.#changed();
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const stages: Stage[] = [];
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage[Symbol.asyncDispose]();
});

function set(random?: number): Stage {
  const stage = new Stage(random);
  stages.push(stage);
  return stage;
}

/** A stage on which a better link has taken over from one with a stream on it. */
async function moved() {
  const stage = set();
  await stage.until(() => stage.pairs.length === 1, 'the first link');
  const talk = stage.talk(stage.pairs[0]!);
  expect(await talk.say('before')).toBe('before');
  await stage.probe();
  await stage.until(() => stage.states.includes('moved'), 'the move');
  return { stage, talk, old: stage.pairs[0]!, better: stage.pairs[1]! };
}

describe('a better link', () => {
  it('takes over while streams of the older one go on; that is closed when they are over', async () => {
    const { stage, talk, old, better } = await moved();
    expect(stage.places).toEqual([false, true]);
    expect(await talk.say('still here')).toBe('still here');
    expect(await stage.talk(better).say('and here')).toBe('and here');
    for (let look = 0; look < 20; look += 1) (await stage.waits.next(isLook)).end();
    expect(await talk.say('and after twenty looks')).toBe('and after twenty looks');
    talk.stream.end();
    await within(new Promise((resolve) => talk.stream.resume().once('close', resolve)), 'the end of the stream');
    const ended = old.opener.closed.then((end) => ({ end }));
    for (let gone = false; !gone; ) {
      const look = await Promise.race([ended, stage.waits.next(isLook)]);
      if ('ms' in look) look.end();
      else gone = true;
    }
    expect(await ended).toMatchObject({ end: { code: 'link_closed', by: 'peer' } });
    expect(await stage.talk(better).say('alone')).toBe('alone');
    expect(stage.states).toEqual(['dialling', 'linked', 'moved']);
  });

  it('is waited for a while by streams that the peer opened before it learnt of it', async () => {
    const { stage, talk, old } = await moved();
    talk.stream.destroy();
    for (let look = 0; look < 3; look += 1) (await stage.waits.next(isLook)).end();
    const late = stage.talk(old);
    expect(await late.say('late')).toBe('late');
    for (let look = 0; look < 10; look += 1) (await stage.waits.next(isLook)).end();
    expect(await late.say('and on')).toBe('and on');
  });

  it('is tried again, further and further apart and at least every 40 seconds, while attempts fail', async () => {
    for (const [random, waits] of [
      [0, [7_500, 15_000, 30_000, 30_000, 30_000]],
      [0.999_999, [10_000, 20_000, 40_000, 40_000, 40_000]],
    ] as const) {
      const stage = set(random);
      stage.betterFault = new TowlineError('relay_unreachable');
      await stage.until(() => stage.pairs.length === 1, 'the first link');
      const talk = stage.talk(stage.pairs[0]!);
      const waited: number[] = [];
      for (let attempt = 0; attempt < 5; attempt += 1) waited.push(Math.round(await stage.probe()));
      expect(waited).toEqual(waits);
      expect(await talk.say('undisturbed')).toBe('undisturbed');
      expect(stage.states.slice(0, 4)).toEqual(['dialling', 'linked', 'staying:relay_unreachable', 'staying:relay_unreachable']);
    }
  });

  it('is tried less and less often while it is lost soon after it came up, and as at first once one has lived for a minute', async () => {
    const stage = set(0.999_999);
    await stage.until(() => stage.pairs.length === 1, 'the first link');
    const talk = stage.talk(stage.pairs[0]!);
    expect(await talk.say('before')).toBe('before');
    const waited: number[] = [];
    for (const livedMs of [3_000, 15_000, 59_000, 3_000, 3_000, 3_000, 60_000, 3_000, 3_000]) {
      waited.push(Math.round(await stage.probe()));
      const moves = () => stage.states.filter((state) => state === 'moved').length;
      const backs = () => stage.states.filter((state) => state === 'moved-back').length;
      await stage.until(() => moves() > backs(), 'the move');
      stage.nowMs += livedMs;
      stage.pairs.at(-1)!.openerSocket.destroy();
      await stage.until(() => moves() === backs(), 'the move back');
    }
    expect(await talk.say('undisturbed')).toBe('undisturbed');
    expect(waited.map((ms) => ms / 1_000)).toEqual([10, 20, 40, 80, 160, 320, 600, 10, 20]);
  });

  it('is tried as late as the relay asks', async () => {
    const stage = set();
    stage.betterFault = new TowlineError('unavailable', 'Busy.', { cause: { retryAfterMs: 100_000 } });
    await stage.probe();
    expect((await stage.waits.next((ms) => ms > 100_000)).ms).toBe(117_500);
  });

  it('is not looked for before the peer has taken the present one up', async () => {
    const stage = set();
    stage.welcoming = false;
    await stage.until(() => stage.states.includes('linked'), 'the first link');
    await new Promise(setImmediate);
    expect(stage.waits.pending).toEqual([]);
    stage.welcome(stage.pairs[0]!);
    expect(await stage.probe()).toBeGreaterThan(0);
  });

  it('is not looked for while an older one retires', async () => {
    const { stage, talk } = await moved();
    stage.best = undefined;
    await new Promise(setImmediate);
    expect(stage.waits.pending.map(({ ms }) => ms)).toEqual([1_000]);
    expect(await talk.say('on')).toBe('on');
  });
});

describe('a better link that comes to nothing leaves the present one as it is', () => {
  it.each([
    ['the login is refused', (pair: LinkedPair) => void pair.opener.close('key_revoked', 'Revoked.'), 'staying:key_revoked'],
    ['even for good', (pair: LinkedPair) => void pair.opener.close('device_removed', 'Removed.'), 'staying:device_removed'],
    ['it dies before the welcome', (pair: LinkedPair) => void pair.openerSocket.destroy(), 'staying:link_lost'],
  ])('%s', async (_what, end, state) => {
    const stage = set();
    await stage.until(() => stage.pairs.length === 1, 'the first link');
    const talk = stage.talk(stage.pairs[0]!);
    await talk.say('before');
    stage.welcoming = false;
    await stage.probe();
    await stage.until(() => stage.pairs.length === 2, 'the better link');
    end(stage.pairs[1]!);
    await stage.until(() => stage.states.includes(state), 'the refusal');
    expect(await talk.say('after')).toBe('after');
    expect(await stage.talk(stage.pairs[0]!).say('new ones, too')).toBe('new ones, too');
    stage.best = undefined;
    stage.welcoming = true;
    await stage.probe();
    await stage.until(() => stage.states.includes('moved'), 'the move');
    expect(await talk.say('at last')).toBe('at last');
  });
});

describe('the loss of one of two links', () => {
  it('of the older one during the take-over: the new one goes on by itself', async () => {
    const stage = set();
    await stage.waits.next(isProbe);
    stage.welcoming = false;
    await stage.probe();
    await stage.until(() => stage.pairs.length === 2, 'the better link');
    stage.pairs[0]!.openerSocket.destroy();
    await within(stage.pairs[0]!.acceptor.closed, 'the end of the older link');
    stage.welcome(stage.pairs[1]!);
    await stage.until(() => stage.states.includes('moved'), 'the move');
    expect(await stage.talk(stage.pairs[1]!).say('on')).toBe('on');
    expect(stage.states).toEqual(['dialling', 'linked', 'moved']);
  });

  it('of both during the take-over: it is dialled again', async () => {
    const stage = set();
    await stage.waits.next(isProbe);
    stage.welcoming = false;
    await stage.probe();
    await stage.until(() => stage.pairs.length === 2, 'the better link');
    for (const pair of stage.pairs) pair.openerSocket.destroy();
    (await stage.waits.next((ms) => ms === 500)).end();
    await stage.until(() => stage.pairs.length === 3, 'another link');
    await stage.until(() => stage.places.length === 3, 'serving it');
    expect(stage.states).toEqual(['dialling', 'linked', 'waiting:link_lost', 'dialling', 'linked']);
    expect(stage.places).toEqual([false, true, false]);
  });

  it('of the older one after the take-over costs nothing', async () => {
    const { stage, old, better } = await moved();
    old.openerSocket.destroy();
    await within(old.acceptor.closed, 'the end of the older link');
    expect(await stage.talk(better).say('on')).toBe('on');
    expect(stage.states).toEqual(['dialling', 'linked', 'moved']);
  });

  it('of the better one while the older one is there still: that one is used again, and a better one looked for', async () => {
    const { stage, talk, old, better } = await moved();
    better.openerSocket.destroy();
    await stage.until(() => stage.states.includes('moved-back'), 'the move back');
    expect(await talk.say('on')).toBe('on');
    expect(await stage.talk(old).say('new ones, too')).toBe('new ones, too');
    talk.stream.destroy();
    stage.best = undefined;
    await stage.probe();
    await stage.until(() => stage.pairs.length === 3, 'another better link');
    await stage.until(() => stage.states.at(-1) === 'moved', 'the second move');
    expect(stage.states).toEqual(['dialling', 'linked', 'moved', 'moved-back', 'moved']);
  });

  it('of both, one after the other, is a loss as any: it is dialled again', async () => {
    const { stage, old, better } = await moved();
    better.openerSocket.destroy();
    await stage.until(() => stage.states.includes('moved-back'), 'the move back');
    old.openerSocket.destroy();
    (await stage.waits.next((ms) => ms === 500)).end();
    await stage.until(() => stage.pairs.length === 3, 'another link');
    await stage.until(() => stage.places.length === 3, 'serving it');
    expect(stage.states.slice(3)).toEqual(['moved-back', 'waiting:link_lost', 'dialling', 'linked']);
  });

  it('for good ends both, whichever the peer says it on', async () => {
    for (const which of ['old', 'better'] as const) {
      const { stage, ...pairs } = await moved();
      const [told, other] = which === 'old' ? [pairs.old, pairs.better] : [pairs.better, pairs.old];
      await told.opener.close('device_removed', 'Removed by an admin.');
      expect(await within(stage.done, 'the end')).toMatchObject({ code: 'device_removed', message: 'Removed by an admin.' });
      expect(await other.opener.closed).toMatchObject({ code: 'link_closed', by: 'peer' });
      expect(stage.waits.pending).toEqual([]);
    }
  });
});

describe('the end of this side', () => {
  it('during a take-over closes both links', async () => {
    const stage = set();
    await stage.waits.next(isProbe);
    stage.welcoming = false;
    await stage.probe();
    await stage.until(() => stage.places.length === 2, 'the better link');
    stage.stop.abort();
    expect(await within(stage.done, 'the end')).toBeNull();
    for (const pair of stage.pairs) expect(await pair.opener.closed).toMatchObject({ code: 'link_closed', by: 'peer' });
    expect([stage.waits.pending, stage.pairs.length]).toEqual([[], 2]);
  });

  it('while a link retires closes both, and leaves no wait', async () => {
    const { stage, old, better } = await moved();
    stage.stop.abort();
    expect(await within(stage.done, 'the end')).toBeNull();
    for (const pair of [old, better]) expect(await pair.opener.closed).toMatchObject({ code: 'link_closed', by: 'peer' });
    expect(stage.waits.pending).toEqual([]);
  });

  it('while a better link is being dialled closes what that still brings', async () => {
    const stage = set();
    await stage.waits.next(isProbe);
    await stage.probe();
    stage.stop.abort();
    expect(await within(stage.done, 'the end')).toBeNull();
    for (const pair of stage.pairs) expect(await within(pair.opener.closed, 'its end')).toMatchObject({ by: 'peer' });
  });
});
