import type { Link, LinkEnd } from '@towline/contract';
import { type ErrorCode, TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createReconnectPolicy, type KeepLinkedOptions, keepLinked, type LinkState } from '../src/reconnect.ts';

describe('the wait before dialling again', () => {
  it('stays between half a second and a bound that doubles up to 15 seconds, whatever chance says', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 30 }), (chances) => {
        const policy = createReconnectPolicy(() => chances[at]!);
        let at = 0;
        for (; at < chances.length; at += 1) {
          const delay = policy.nextDelayMs();
          expect(delay).toBeGreaterThanOrEqual(500);
          expect(delay).toBeLessThanOrEqual(Math.min(15_000, 1_000 * 2 ** at));
        }
      }),
    );
  });

  it('is spread over the whole of its range', () => {
    const [lowest, highest] = [0, 0.999_999].map((chance) => {
      const policy = createReconnectPolicy(() => chance);
      return Array.from({ length: 6 }, () => Math.round(policy.nextDelayMs()));
    });
    expect(lowest).toEqual([500, 500, 500, 500, 500, 500]);
    expect(highest).toEqual([1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  });

  it('begins anew after a link that lived for ten seconds, not after one that was lost at once', () => {
    const policy = createReconnectPolicy(() => 0.999_999);
    const next = () => Math.round(policy.nextDelayMs());
    expect([next(), next(), next()]).toEqual([1_000, 2_000, 4_000]);
    policy.noteLink(9_999);
    expect(next()).toBe(8_000);
    policy.noteLink(10_000);
    expect(next()).toBe(1_000);
  });

  it('is never shorter than the relay asked for, and still spread', () => {
    expect(createReconnectPolicy(() => 0).nextDelayMs(60_000)).toBe(60_500);
    expect(createReconnectPolicy(() => 0.5).nextDelayMs(60_000)).toBe(60_750);
  });
});

/** A link that ends when it is told to; streams are no matter here. */
function makeLink(): { link: Link; end: (end: LinkEnd) => void; closedWith: () => ErrorCode | undefined } {
  let closedWith: ErrorCode | undefined;
  let end: (end: LinkEnd) => void = () => undefined;
  const closed = new Promise<LinkEnd>((resolve) => {
    end = resolve;
  });
  const link: Link = {
    openStream: () => {
      throw new TowlineError('link_closed');
    },
    onStream: () => undefined,
    closed,
    async close(code, message = '') {
      closedWith ??= code;
      end({ code, message, by: 'self' });
      await closed;
    },
    ping: () => Promise.reject(new TowlineError('link_closed')),
    stats: { bytesIn: 0, bytesOut: 0, openStreams: 0, lastReceivedMs: 0 },
  };
  return { link, end, closedWith: () => closedWith };
}

const lost: LinkEnd = { code: 'link_lost', message: 'Lost.', by: 'lost' };

/** Runs the loop; each entry of `dials` is one attempt, and the loop is stopped before the one after the last. */
async function run(dials: (() => Link | TowlineError)[], extra: Partial<KeepLinkedOptions> = {}) {
  const stop = new AbortController();
  const states: string[] = [];
  const delays: number[] = [];
  let time = 0;
  const loop = keepLinked({
    dial: async () => {
      const result = dials.shift()!();
      if (result instanceof TowlineError) throw result;
      return result;
    },
    serve: async () => undefined,
    onState: (state: LinkState) => states.push(state.state === 'waiting' ? `waiting:${state.error.code}` : state.state),
    policy: createReconnectPolicy(() => 0),
    hopeless: new Set<ErrorCode>(['device_removed', 'key_revoked']),
    nowMs: () => (time += 20_000),
    sleep: async (ms) => {
      delays.push(ms);
      if (dials.length === 0) stop.abort();
    },
    signal: stop.signal,
    ...extra,
  });
  const error = await loop.then(
    () => undefined,
    (fault: unknown) => fault,
  );
  return { states, delays, error };
}

describe('a link that is kept up', () => {
  it('is dialled again after it was lost and after dialling failed', async () => {
    const [first, second] = [makeLink(), makeLink()];
    first.end(lost);
    second.end(lost);
    const { states, error } = await run([() => first.link, () => new TowlineError('relay_unreachable'), () => second.link]);
    expect(states).toEqual([
      ...['dialling', 'linked', 'waiting:link_lost'],
      ...['dialling', 'waiting:relay_unreachable'],
      ...['dialling', 'linked', 'waiting:link_lost'],
    ]);
    expect(error).toBeUndefined();
  });

  it('waits as long as the relay asked for', async () => {
    const busy = () => new TowlineError('unavailable', 'Busy.', { cause: { retryAfterMs: 30_000 } });
    expect((await run([busy, () => new TowlineError('unavailable')])).delays).toEqual([30_500, 500]);
  });

  it('is given up when dialling meets an error that no waiting heals', async () => {
    const { states, error } = await run([() => new TowlineError('relay_unreachable'), () => new TowlineError('key_revoked')]);
    expect(states).toEqual(['dialling', 'waiting:relay_unreachable', 'dialling']);
    expect(error).toMatchObject({ code: 'key_revoked' });
  });

  it('is given up when the peer closes with such an error, also if serving fails of it first', async () => {
    for (const serve of [
      async () => undefined,
      async (link: Link) => {
        await link.closed;
        throw new TowlineError('stream_reset');
      },
      () => Promise.reject(new TowlineError('stream_reset')),
    ]) {
      const { link, end } = makeLink();
      end({ code: 'device_removed', message: 'Removed by an admin.', by: 'peer' });
      expect((await run([() => link], { serve })).error).toMatchObject({ code: 'device_removed', message: 'Removed by an admin.' });
    }
  });

  it('is closed with the error that serving failed with, and dialled again unless that is hopeless', async () => {
    for (const code of ['protocol_error', 'device_removed'] as const) {
      const { link, closedWith } = makeLink();
      const { states, error } = await run([() => link], { serve: () => Promise.reject(new TowlineError(code)) });
      expect(closedWith()).toBe(code);
      expect(states.at(-1)).toBe(code === 'device_removed' ? 'linked' : 'waiting:protocol_error');
      expect((error as TowlineError | undefined)?.code).toBe(code === 'device_removed' ? code : undefined);
    }
  });

  it('tells serving by its signal that the link is over, and waits for it before dialling again', async () => {
    const events: string[] = [];
    const first = makeLink();
    await run(
      [
        () => first.link,
        () => {
          events.push('dial');
          return new TowlineError('relay_unreachable');
        },
      ],
      {
        serve: async (_link, signal) => {
          first.end(lost);
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
          await new Promise(setImmediate);
          events.push('served');
        },
      },
    );
    expect(events).toEqual(['served', 'dial']);
  });

  it('is closed, and nothing is dialled, once the signal aborts', async () => {
    const stop = new AbortController();
    const { link, closedWith } = makeLink();
    const { states, error } = await run([() => link], { signal: stop.signal, serve: async () => stop.abort() });
    expect([closedWith(), states, error]).toEqual(['link_closed', ['dialling', 'linked'], undefined]);
  });

  it('is closed when it comes up only after the signal aborted', async () => {
    const stop = new AbortController();
    const { link, closedWith } = makeLink();
    const dial = async () => {
      stop.abort();
      return link;
    };
    await run([], { signal: stop.signal, dial });
    expect(closedWith()).toBe('link_closed');
  });

  it('is not waited for once the signal aborts: a real timer is ended', async () => {
    const stop = new AbortController();
    const started = performance.now();
    await keepLinked({
      dial: () => Promise.reject(new TowlineError('unavailable', 'Busy.', { cause: { retryAfterMs: 200_000 } })),
      serve: async () => undefined,
      onState: ({ state }) => {
        if (state === 'waiting') setImmediate(() => stop.abort());
      },
      policy: createReconnectPolicy(() => 0),
      hopeless: new Set(),
      signal: stop.signal,
    });
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
