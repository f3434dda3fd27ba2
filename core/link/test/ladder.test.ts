import type { DialTransport, Link } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { createLadder, type LadderLink } from '../src/ladder/ladder.ts';
import { createProcessMemory } from '../src/ladder/memory.ts';
import { retryAfterMs } from '../src/relay-answer.ts';
import { closedPort, type Door, type DoorKind, ladderRequest, openDoor, rungTo } from './ladder-doors.ts';
import { within } from './linked-pair.ts';

const relay = new URL('https://relay.example.com:8085');
const NAMES = ['quic', 'tls', 'websocket'] as const;
const doors: Door[] = [];
const links: Link[] = [];
afterEach(async () => {
  await Promise.all(links.splice(0).map((link) => link.close('link_closed', 'The test is over.', 0)));
  for (const door of doors.splice(0)) await door[Symbol.asyncDispose]();
});

async function open(...kinds: DoorKind['answer'][]): Promise<Door[]> {
  const opened = await Promise.all(kinds.map((answer) => openDoor({ answer } as DoorKind)));
  doors.push(...opened);
  return opened;
}

async function openOne(kind: DoorKind): Promise<Door> {
  const door = await openDoor(kind);
  doors.push(door);
  return door;
}

function ladderOf(rungs: readonly DialTransport[], memory = createProcessMemory()) {
  const ladder = createLadder({ relay, rungs, memory });
  const keep = async (dialled: Promise<LadderLink>) => {
    const made = await within(dialled, 'a link');
    links.push(made.link);
    return { transport: made.transport, note: made.note };
  };
  return { ...ladder, ladder, memory, dial: (signal?: AbortSignal) => keep(ladder.dial(ladderRequest(signal))) };
}

const rungsTo = (...ports: readonly (Door | number)[]) => ports.map((to, at) => rungTo(NAMES[at]!, typeof to === 'number' ? to : to.port));
const faultOf = (dial: Promise<unknown>) =>
  dial.then(
    () => undefined,
    (error: unknown) => error as TowlineError,
  );
/** Timers and sockets of this process. */
const resources = () => process.getActiveResourcesInfo().filter((kind) => /Timeout|TCPSocket|GetAddrInfo/.test(kind)).length;

describe('the ladder', () => {
  it('takes the best transport that answers at once, and does not try the others', async () => {
    const [best, other] = (await open('link', 'link')) as [Door, Door];
    expect(await ladderOf(rungsTo(best, other)).dial()).toEqual({ transport: 'quic', note: undefined });
    expect(other.connections()).toBe(0);
  });

  it('takes the next when the best does not answer, gives that one up, and says why', async () => {
    const [silent, door] = (await open('nothing', 'link')) as [Door, Door];
    expect(await ladderOf(rungsTo(silent, door)).dial()).toEqual({
      transport: 'tls',
      note: 'QUIC: the relay did not answer on UDP port 8085.',
    });
    await within(silent.quiet(), 'the end of the attempt');
  });

  it('takes the next when the best is refused on its way, or by something that is no relay', async () => {
    const [page, door] = (await open('html', 'link')) as [Door, Door];
    const port = await closedPort();
    expect(await ladderOf(rungsTo(port, page, door)).dial()).toEqual({
      transport: 'websocket',
      note: expect.stringMatching(
        /^QUIC: localhost refuses connections on port \d+\. TLS: What answers there is not a Towline relay: .*403/,
      ),
    });
  });

  it('is not kept from a better transport by a worse one that waits', async () => {
    const [late, silent] = (await open('late', 'nothing')) as [Door, Door];
    const dialled = ladderOf(rungsTo(late, silent)).dial();
    await within(silent.connected(1), 'the second attempt');
    late.release();
    expect(await dialled).toEqual({ transport: 'quic', note: undefined });
    await within(silent.quiet(), 'the end of the attempt');
  });

  it('closes the link of the one that comes second, though it does not listen to its signal', async () => {
    const [first, second] = (await open('late', 'late')) as [Door, Door];
    const dialled = ladderOf([rungTo('quic', first.port, true), rungTo('tls', second.port, true)]).dial();
    await within(second.connected(1), 'the second attempt');
    first.release();
    second.release();
    const { transport } = await dialled;
    const [winner, loser] = transport === 'quic' ? [first, second] : [second, first];
    await within(loser.quiet(), 'the end of the second link');
    expect(loser.links).toHaveLength(1);
    expect(await loser.links[0]!.closed).toMatchObject({ code: 'link_closed', by: 'peer' });
    expect(await winner.links[0]!.ping(AbortSignal.timeout(10_000))).toBeGreaterThanOrEqual(0);
  });

  it('says what each transport met when none reaches the relay, with the code that tells most', async () => {
    const page = await openOne({ answer: 'html' });
    const port = await closedPort();
    const error = (await faultOf(ladderOf(rungsTo(port, page, port)).dial()))!;
    expect(error.code).toBe('relay_not_towline');
    expect(error.message).toMatch(
      /^No transport reaches the relay relay\.example\.com:8085\. QUIC and WebSocket: localhost refuses connections on port \d+\. TLS: What answers there/,
    );
    expect(error.hint).toBe('Check the URL.');
  });

  it('leaves the word to a transport that stands alone', async () => {
    expect(await faultOf(ladderOf(rungsTo(await closedPort())).dial())).toMatchObject({
      code: 'relay_unreachable',
      message: expect.stringMatching(/^localhost refuses connections on port \d+\.$/),
    });
  });

  it('goes on after a transport that breaks or that this machine lacks', async () => {
    const [door] = (await open('link')) as [Door];
    const lacking: DialTransport = { name: 'quic', dial: () => Promise.reject(new TowlineError('unavailable', 'No native part.')) };
    const broken: DialTransport = {
      name: 'tls',
      dial() {
        throw new TypeError('of all things');
      },
    };
    const { transport, note } = await ladderOf([lacking, broken, rungTo('websocket', door.port)]).dial();
    expect([transport, note]).toEqual(['websocket', 'QUIC: No native part. TLS: An internal error.']);
  });
});

describe('a verdict of the relay ends the dial, since it is the same on every transport:', () => {
  const refusal = (status: string, code: string, headers = '') =>
    ({ answer: 'refusal', status, error: { code, message: 'Said by the relay.' }, headers }) as const;
  it.each<[string, DoorKind, string]>([
    ['a certificate that is not trusted', { answer: 'stranger' }, 'relay_untrusted'],
    ['a credential that is unknown', refusal('401 Unauthorized', 'unauthenticated'), 'unauthenticated'],
    ['a key that was revoked', refusal('401 Unauthorized', 'key_revoked'), 'key_revoked'],
    ['a device that was removed', refusal('410 Gone', 'device_removed'), 'device_removed'],
    ['too many requests', refusal('429 Too Many', 'rate_limited'), 'rate_limited'],
    ['a relay that asks to wait', refusal('503 Busy', 'unavailable', 'Retry-After: 7\r\n'), 'unavailable'],
  ])('%s', async (_what, kind, code) => {
    const [door, next] = [await openOne(kind), await openOne({ answer: 'link' })];
    const error = (await faultOf(ladderOf(rungsTo(door, next)).dial()))!;
    expect(error.code).toBe(code);
    expect(retryAfterMs(error)).toBe(code === 'unavailable' ? 7_000 : undefined);
    expect(next.connections()).toBe(0);
  });

  it('while others still wait, which are given up', async () => {
    const [silent] = (await open('nothing')) as [Door];
    const door = await openOne(refusal('401 Unauthorized', 'key_revoked'));
    expect(await faultOf(ladderOf(rungsTo(silent, door)).dial())).toMatchObject({ code: 'key_revoked' });
    await within(silent.quiet(), 'the end of the attempt');
  });

  it('but not what something between says in its place', async () => {
    for (const status of ['401 Unauthorized', '407 Proxy', '429 Too Many', '502 Bad Gateway', '503 Busy']) {
      const [page, door] = [await openOne({ answer: 'html', status }), await openOne({ answer: 'link' })];
      expect((await ladderOf(rungsTo(page, door)).dial()).transport).toBe('tls');
    }
  });

  it('but not a relay that is unavailable without a word on how long, as one of whose parts is down', async () => {
    const [down, door] = [await openOne(refusal('503 Busy', 'unavailable')), await openOne({ answer: 'link' })];
    expect((await ladderOf(rungsTo(down, door)).dial()).transport).toBe('tls');
  });
});

describe('a dial that is given up', () => {
  it('rejects with the reason and leaves no socket and no timer', async () => {
    const [one, two] = (await open('nothing', 'nothing')) as [Door, Door];
    const before = resources();
    const stop = new AbortController();
    const dialled = faultOf(ladderOf(rungsTo(one, two)).dial(stop.signal));
    await within(two.connected(1), 'the second attempt');
    stop.abort(new TowlineError('cancelled', 'Enough.'));
    expect(await dialled).toMatchObject({ code: 'cancelled', message: 'Enough.' });
    await within(Promise.all([one.quiet(), two.quiet()]), 'the end of both attempts');
    await new Promise(setImmediate);
    expect(resources()).toBeLessThanOrEqual(before);
  });

  it('before it begins does not dial', async () => {
    const [door] = (await open('link')) as [Door];
    expect(await faultOf(ladderOf(rungsTo(door)).dial(AbortSignal.abort()))).toMatchObject({ code: 'cancelled' });
    expect(door.connections()).toBe(0);
  });

  it('leaves nothing behind when it had won, either', async () => {
    const [silent, door] = (await open('nothing', 'link')) as [Door, Door];
    const stop = new AbortController();
    const before = resources();
    await ladderOf(rungsTo(silent, door)).dial(stop.signal);
    stop.abort();
    await within(silent.quiet(), 'the end of the attempt');
    expect(await links[0]!.ping(AbortSignal.timeout(10_000))).toBeGreaterThanOrEqual(0);
    await links[0]!.close('link_closed');
    await within(door.quiet(), 'the end of the link');
    await new Promise(setImmediate);
    expect(resources()).toBeLessThanOrEqual(before);
  });
});

describe('the transport that worked', () => {
  it('goes first the next time, also of another ladder, and the better ones are left out', async () => {
    const [silent, door] = (await open('nothing', 'link')) as [Door, Door];
    const { ladder, dial, memory } = ladderOf(rungsTo(silent, door));
    await ladder.confirm((await dial()).transport);
    const before = silent.connections();
    const again = ladderOf(rungsTo(silent, door), memory);
    expect(await again.dial()).toEqual({ transport: 'tls', note: 'QUIC: the relay did not answer on UDP port 8085.' });
    expect(silent.connections()).toBe(before);
  });

  it('gives way to all when it fails', async () => {
    const [best, worst] = (await open('late', 'link')) as [Door, Door];
    const memory = createProcessMemory();
    await memory.remember(relay.origin, { transport: 'tls', reasons: {} });
    expect(await ladderOf(rungsTo(best, await closedPort(), worst), memory).dial()).toMatchObject({ transport: 'websocket' });
    expect(best.connections()).toBe(1);
  });

  it('is not the last word: better ones can be tried by themselves, and tell why they fail', async () => {
    const [late, door] = (await open('late', 'link')) as [Door, Door];
    const memory = createProcessMemory();
    await memory.remember(relay.origin, { transport: 'tls', reasons: {} });
    const { dial, ladder } = ladderOf(rungsTo(late, door), memory);
    expect((await dial()).note).toBe('QUIC: not tried yet, since another transport worked the last time.');
    expect([ladder.hasBetter('tls'), ladder.hasBetter('quic'), ladder.hasBetter('carrier-pigeon')]).toEqual([true, false, false]);
    const stop = new AbortController();
    const tried = faultOf(ladder.dialBetter('tls', ladderRequest(stop.signal)));
    await within(late.connected(1), 'the attempt');
    expect(door.connections()).toBe(1);
    stop.abort();
    expect(await tried).toMatchObject({ code: 'cancelled' });
    late.release();
    const better = await ladder.dialBetter('tls', ladderRequest());
    links.push(better.link);
    expect(better).toMatchObject({ transport: 'quic' });
    await ladder.confirm('quic');
    expect(await memory.recall(relay.origin)).toEqual({ transport: 'quic', reasons: {} });
  });

  it('comes last when its last link was of no use, until one is', async () => {
    const [best, other] = (await open('link', 'link')) as [Door, Door];
    const { dial, ladder } = ladderOf(rungsTo(best, other));
    expect((await dial()).transport).toBe('quic');
    ladder.shun('quic', 'it was of no use.');
    expect(await dial()).toEqual({ transport: 'tls', note: 'QUIC: it was of no use.' });
    await ladder.confirm('quic');
    expect((await dial()).transport).toBe('quic');
  });

  it('is of no weight when it is not one of the rungs', async () => {
    const [door] = (await open('link')) as [Door];
    const memory = createProcessMemory();
    await memory.remember(relay.origin, { transport: 'carrier-pigeon', reasons: { 'carrier-pigeon': 'x', constructor: 'y' } });
    expect(await ladderOf(rungsTo(door), memory).dial()).toEqual({ transport: 'quic', note: undefined });
  });
});

describe('what is said of transports', () => {
  it('is safe for a terminal and short enough for the proof of a device', async () => {
    const [door] = (await open('link')) as [Door];
    const loud: DialTransport = {
      name: 'quic',
      dial: () => Promise.reject(new TowlineError('relay_unreachable', `\u001b[2J${'💥'.repeat(400)}`)),
    };
    const { note } = await ladderOf([loud, rungTo('tls', door.port)]).dial();
    expect(note).toMatch(/^QUIC: \\u\{1b\}\[2J💥+…$/u);
    expect(note!.length).toBeLessThanOrEqual(300);
  });
});
