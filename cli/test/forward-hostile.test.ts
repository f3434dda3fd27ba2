import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { ByteStream } from '@towline/contract';
import { type DeviceSessionEnd, TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SeenLinks, takeLinks } from './link-peer.ts';
import { failure, type RelayPeer, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY, type User } from './run-cli.ts';

const STEP_MS = 20_000;

type Play = (end: DeviceSessionEnd, stream: ByteStream) => Promise<unknown>;

describe('a device or relay that means harm to whoever forwards', () => {
  let user: User;
  let peer: RelayPeer;
  let seen: SeenLinks;
  let play: TowlineError | Play;
  let program: ChildProcessWithoutNullStreams;
  let said: string;
  beforeEach(async () => {
    user = await makeUser();
    peer = await startPeer(() => failure(404, 'not_found', 'No such route.'));
    seen = takeLinks(peer, (open) => {
      if ('check' in open.body) return async (end) => end.finish({ reason: 'ended' });
      const decided = play;
      return decided instanceof TowlineError ? decided : (end, _link, stream) => decided(end, stream);
    });
  });
  afterEach(async () => {
    if (program.exitCode === null) {
      program.kill('SIGKILL');
      await once(program, 'close');
    }
    await peer[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });

  const until = async (what: string, look: () => unknown) => {
    const deadline = performance.now() + STEP_MS;
    while (!look()) {
      if (performance.now() > deadline) throw new Error(`${what}: not within ${STEP_MS} ms\n${said}`);
      await new Promise((later) => setTimeout(later, 20));
    }
  };
  const events = (name: string) =>
    said
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ event }) => event === name);
  /** Starts a forward; answers its local port. */
  async function start(target: string, ...options: string[]): Promise<number> {
    said = '';
    program = user.start(['--json', 'pi', 'forward', ...options, target], { env: { TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY } });
    for (const stream of [program.stdout, program.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until('the forward listens', () => events('ready').length > 0);
    return Number(/127\.0\.0\.1:(\d+)/.exec(said)![1]);
  }
  const drain = (socket: Socket): Promise<{ bytes: number; end: string }> =>
    new Promise((resolve) => {
      let bytes = 0;
      socket.on('data', (chunk) => (bytes += chunk.length));
      socket
        .on('end', () => resolve({ bytes, end: 'end' }))
        .on('error', (error: NodeJS.ErrnoException) => resolve({ bytes, end: error.code! }));
    });
  const residentMiB = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1]) / 1024;
  /** A connection of an honest device, after the other. */
  async function worksAfter(port: number): Promise<void> {
    play = async (end) => {
      end.session.output(0).end('honest');
      end.session.input(0).resume();
      await new Promise((resolve) => end.session.input(0).once('end', resolve));
      await end.finish({ reason: 'ended' });
    };
    const socket = connect(port, '127.0.0.1');
    const all = drain(socket);
    socket.end();
    expect(await all).toEqual({ bytes: 6, end: 'end' });
  }

  it.each<[string, Play]>([
    ['bytes that are no frame', async (_end, stream) => stream.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]))],
    ['a frame of a length that cannot be', async (_end, stream) => stream.write(Buffer.from([0x40, 0xff, 0xff, 0xff]))],
    ['an end of a channel that does not exist', async (_end, stream) => stream.write(Buffer.from([0x11, 0, 0, 1, 200]))],
    ['data after the end', async (_end, stream) => stream.write(Buffer.from([0x11, 0, 0, 1, 0, 0x40, 0, 0, 1, 120]))],
    [
      'an acknowledgement of what was not sent',
      async (_end, stream) => stream.write(Buffer.concat([Buffer.from([1, 0, 0, 16]), Buffer.alloc(16, 9)])),
    ],
    [
      'more than was allowed',
      async (_end, stream) => {
        const frame = Buffer.concat([Buffer.from([0x40, 1, 0, 0]), Buffer.alloc(65_536)]);
        for (let at = 0; at < 200; at += 1) stream.write(frame);
      },
    ],
    ['a flood of messages', async (end) => Promise.all(Array.from({ length: 500 }, () => end.session.send({ now: 'this' })))],
    ['a result that is none', async (_end, stream) => stream.write(Buffer.from([0x12, 0, 0, 2, 0x7b, 0x7d]))],
    ['a result before its end', async (end) => end.finish({ reason: 'ended' })],
    [
      'a failure',
      async (end) => {
        end.session.output(0).destroy();
        await end.finish({ reason: 'failed', code: 'target_reset', message: 'x' });
      },
    ],
    ['a break', async (_end, stream) => stream.destroy(new TowlineError('internal'))],
  ])('resets the connection, and that alone: it sends %s', async (_what, hostile) => {
    play = hostile;
    const port = await start('0:80');
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('close', () => {});
    const { bytes, end } = await drain(socket);
    // The event loop under Node takes a reset right behind data that it has just read for an end; the system says ECONNRESET.
    expect(['ECONNRESET', ...(bytes > 0 ? ['end'] : [])]).toContain(end);
    if (bytes > 0) await until('it is reported', () => events('failed').some(({ code }) => code === 'protocol_error'));
    await worksAfter(port);
    expect(seen.links).toHaveLength(1);
  });

  it('shows nothing that a terminal obeys of what it says, in words as in events', async () => {
    const evil = '\u001b]0;owned\u0007\u001b[2J\u202e\r\nready';
    play = new TowlineError('target_refused', evil, { hint: evil });
    const port = await start('0:80');
    const socket = connect(port, '127.0.0.1');
    expect((await drain(socket)).end).toBe('ECONNRESET');
    await until('it is reported', () => events('failed').length > 0);
    expect(said).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    program.kill('SIGKILL');
    await once(program, 'close');
    said = '';
    program = user.start(['pi', 'forward', '0:80'], { env: { TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY } });
    program.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    await until('the forward listens', () => said.includes('ready'));
    connect(Number(/127\.0\.0\.1:(\d+)/.exec(said)![1]), '127.0.0.1').on('error', () => {});
    await until('it is reported', () => said.includes('owned'));
    expect(said).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(said.match(/^towline: /gm)?.length).toBe(said.trim().split('\n').length);
  });

  it('cannot fill the memory of the program, however much it sends to connections that nobody reads', async () => {
    play = async (end) => {
      const output = end.session.output(0);
      const piece = Buffer.alloc(65_536);
      const more = () => {
        while (!output.destroyed && output.write(piece));
      };
      output.on('drain', more);
      more();
    };
    const port = await start('0:80');
    const before = residentMiB();
    const sockets = Array.from({ length: 10 }, () =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .pause(),
    );
    await new Promise((later) => setTimeout(later, 3_000));
    // Ten sessions of four mebibytes at most, and what the heap makes of them.
    expect(residentMiB() - before).toBeLessThan(120);
    for (const socket of sockets) socket.destroy();
    await worksAfter(port);
  });

  it('is given up when it answers nothing, as soon as the program here leaves', async () => {
    let left = false;
    const never = () => new Promise<void>(() => {});
    play = async (end) => {
      end.session.signal.addEventListener('abort', () => (left = true));
      await never();
    };
    const port = await start('0:80');
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    await until('the device has it', () => seen.opens.some(({ body }) => 'target' in body));
    socket.resetAndDestroy();
    await until('the device is told', () => left);
    await worksAfter(port);
  });

  it('ends a flow of datagrams that it breaks, and no other', async () => {
    const plays: Play[] = [
      async (end) => end.session.output(0).write(Buffer.from([0xff, 0xff, 1, 2, 3])),
      async (end) => end.session.input(0).on('data', (bytes: Buffer) => end.session.output(0).write(bytes)),
    ];
    let flows = 0;
    play = async (end, stream) => plays[Math.min(flows++, 1)]!(end, stream);
    const port = await start('0:53/udp');
    const bad = createSocket('udp4');
    bad.send('x', port, '127.0.0.1');
    await until('it is reported', () => events('failed').some(({ code }) => code === 'protocol_error'));
    const good = createSocket('udp4');
    const answer = once(good, 'message', { signal: AbortSignal.timeout(STEP_MS) });
    good.send('still here', port, '127.0.0.1');
    expect(String(((await answer) as [Buffer])[0])).toBe('still here');
    bad.close();
    good.close();
  });

  it('cannot keep a flow of datagrams that was ended, nor send on it', async () => {
    let [left, ended] = [false, false];
    play = async (end) => {
      end.session.signal.addEventListener('abort', () => (left = true));
      end.session
        .input(0)
        .on('data', () => {})
        .once('end', () => {
          ended = true;
          end.session.output(0).write(Buffer.from([0, 1, 120]));
        });
      await new Promise<void>(() => {});
    };
    const port = await start('0:53/udp', '--udp-idle', '1');
    const local = createSocket('udp4');
    let answers = 0;
    local.on('message', () => (answers += 1)).send('x', port, '127.0.0.1');
    await until('the flow is ended for its silence', () => ended);
    await until('the device, which does not end it in turn, is cut off', () => left);
    expect(answers).toBe(0);
    local.close();
  });

  it('is not asked again by a program that ends when the relay shows it out', async () => {
    play = async () => {};
    await start('0:80');
    void seen.links[0]!.close('key_revoked', 'The key was revoked.');
    const [code] = await once(program, 'close');
    expect(code).toBe(3);
    expect(seen.links).toHaveLength(1);
  });

  it('has the program link again, at a growing distance, when the relay ends the link again and again', async () => {
    play = async () => {};
    const port = await start('0:80');
    for (let at = 0; at < 3; at += 1) {
      await until('there is another link', () => seen.links.length > at);
      await until('it says hello', () => seen.hellos.length > at);
      void seen.links[at]!.close('link_closed', 'Enough.');
    }
    await until('there is a fourth', () => seen.hellos.length > 3);
    await worksAfter(port);
    expect(events('link').filter(({ state }) => state === 'down').length).toBe(3);
  });
});
