import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createClientSession, createDeviceSession, createId, MAX_SESSION_WINDOW, type SessionId, TowlineError } from '../src/index.ts';
import { encodeAck, encodeHead, SessionDecoder, SessionFrame } from '../src/session/frames.ts';

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

/** Two ends of a TCP connection on loopback. */
async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
  server.close();
  opened.push(near, far);
  return [near, far];
}

async function sessionPair() {
  const [near, far] = await socketPair();
  const id = createId<SessionId>();
  return { client: createClientSession(near, id), device: createDeviceSession(far, id), near, far };
}

describe('a session', () => {
  it('carries bytes of several channels both ways, half-closes, and ends with the result', async () => {
    const { client, device } = await sessionPair();
    client.output(0).end('to the device');
    const heard = await text(device.session.input(0));
    device.session.output(0).write(`heard: ${heard}`);
    device.session.output(1).end('aside');
    const finished = device.finish({ reason: 'exited', exit_code: 3 });
    expect(await text(client.input(0))).toBe('heard: to the device');
    expect(await text(client.input(1))).toBe('aside');
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 3 });
    await finished;
    expect(device.session.bytesToDevice).toBe(13);
    expect(device.session.bytesFromDevice).toBe(25);
  });

  it('keeps messages in order with the bytes around them', async () => {
    const { client, device } = await sessionPair();
    const seen: string[] = [];
    device.session.input(0).on('data', (bytes) => seen.push(String(bytes)));
    device.session.onMessage((message) => seen.push(JSON.stringify(message)));
    await new Promise((done) => client.output(0).write('before', done));
    await client.send({ resize: { cols: 80, rows: 25 } });
    client.output(0).end('after');
    await once(device.session.input(0), 'end');
    expect(seen.filter((one) => one.startsWith('{'))).toEqual(['{"resize":{"cols":80,"rows":25}}']);
    expect(seen.filter((one) => !one.startsWith('{')).join('')).toBe('beforeafter');
  });

  it('delivers 32 MiB whole through a reader that is slower than the writer', async () => {
    const { client, device } = await sessionPair();
    const sent = createHash('sha256');
    const writing = (async () => {
      const output = device.session.output(0);
      for (let block = 0; block < 512; block += 1) {
        const bytes = randomBytes(65_536);
        sent.update(bytes);
        if (!output.write(bytes)) await once(output, 'drain');
      }
      await device.finish({ reason: 'exited', exit_code: 0 });
    })();
    const received = createHash('sha256');
    for await (const bytes of client.input(0)) {
      received.update(bytes);
      if (Math.random() < 0.05) await new Promise((next) => setImmediate(next));
    }
    await client.result;
    await writing;
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('stalls a writer whose reader does not read, within the window and the buffers', async () => {
    const { device } = await sessionPair();
    const output = device.session.output(0);
    let taken = 0;
    const fill = () =>
      output.write(Buffer.alloc(65_536), (error) => {
        if (error) return;
        taken += 65_536;
        fill();
      });
    fill();
    let before = -1;
    while (before !== taken) {
      before = taken;
      for (let turn = 0; turn < 200; turn += 1) await new Promise((next) => setImmediate(next));
    }
    expect(taken).toBeLessThanOrEqual(MAX_SESSION_WINDOW + 16 * 1024 * 1024);
  });

  it('gives the result although the device never read what the client sent', async () => {
    const { client, device } = await sessionPair();
    client.output(0).on('error', () => {});
    for (let block = 0; block < 200; block += 1) client.output(0).write(Buffer.alloc(65_536));
    device.session.output(0).end('done');
    const finished = device.finish({ reason: 'exited', exit_code: 0 });
    expect(await text(client.input(0))).toBe('done');
    expect((await client.result).exit_code).toBe(0);
    await finished;
  });

  it('hears messages and acknowledgements behind input that nobody reads, while the output flows', async () => {
    const { client, device } = await sessionPair();
    client.output(0).on('error', () => {});
    for (let block = 0; block < 200; block += 1) client.output(0).write(Buffer.alloc(65_536));
    const heard = new Promise((resolve) => device.session.onMessage(resolve));
    await client.send({ signal: 'INT' });
    expect(await heard).toEqual({ signal: 'INT' });
    const total = 4 * MAX_SESSION_WINDOW;
    const output = device.session.output(0);
    const writing = (async () => {
      for (let sent = 0; sent < total; sent += 65_536) if (!output.write(Buffer.alloc(65_536))) await once(output, 'drain');
      await device.finish({ reason: 'exited', exit_code: 0 });
    })();
    let received = 0;
    for await (const bytes of client.input(0)) received += (bytes as Buffer).length;
    expect(received).toBe(total);
    await writing;
    expect((await client.result).exit_code).toBe(0);
  });

  it('holds no more than its window for a reader that does not read, and ends a peer that sends more', async () => {
    const { device, near } = await sessionPair();
    const aborted = once(device.session.signal, 'abort');
    for (let sent = 0; sent < 2 * MAX_SESSION_WINDOW; sent += 65_536)
      near.write(Buffer.concat([encodeHead(SessionFrame.data, 65_536), Buffer.alloc(65_536)]));
    near.on('error', () => {});
    await aborted;
    expect(device.session.signal.reason).toMatchObject({ code: 'protocol_error' });
    expect(device.session.bytesToDevice).toBeLessThan(MAX_SESSION_WINDOW);
  });

  it('delivers what was received before a break, then the error', async () => {
    const { client, device, far } = await sessionPair();
    await new Promise((done) => device.session.output(0).write('half of it', done));
    const input = client.input(0);
    await once(input, 'readable');
    far.destroy();
    await once(client.signal, 'abort');
    expect(String(input.read())).toBe('half of it');
    input.resume();
    const [error] = await once(input, 'error');
    expect(error).toBeInstanceOf(TowlineError);
  });

  it('is broken, not complete, when the stream ends without the result', async () => {
    const { client, device, far } = await sessionPair();
    device.session.output(0).write('half of it');
    const reading = text(client.input(0));
    far.end();
    await expect(client.result).rejects.toMatchObject({ code: 'session_broken' });
    await expect(reading).rejects.toMatchObject({ code: 'session_broken' });
    expect(client.signal.aborted).toBe(true);
  });

  it('tells the device when the stream is cut, and its writers', async () => {
    const { device, near } = await sessionPair();
    const aborted = once(device.session.signal, 'abort');
    near.destroy();
    await aborted;
    expect(device.session.signal.reason).toBeInstanceOf(TowlineError);
    await expect(device.finish({ reason: 'exited' })).rejects.toBeInstanceOf(TowlineError);
  });

  it.each([
    ['an unknown frame type', Buffer.from([0x05, 0, 0, 0])],
    ['an announced payload over the limit', Buffer.from([0x40, 0xff, 0xff, 0xff])],
    ['an empty data frame', Buffer.from([0x40, 0, 0, 0])],
    ['an acknowledgement of bytes that were not sent', encodeAck(1, 262_144)],
    ['an acknowledgement beyond any number', Buffer.concat([Buffer.from([0x01, 0, 0, 16]), Buffer.alloc(16, 0xff)])],
    ['a message that is no object', Buffer.concat([encodeHead(SessionFrame.message, 2), Buffer.from('12')])],
    [
      'data after the end of its channel',
      Buffer.concat([encodeHead(SessionFrame.fin, 1), Buffer.from([0]), encodeHead(SessionFrame.data, 1), Buffer.from('x')]),
    ],
    [
      'a channel ended twice',
      Buffer.concat([encodeHead(SessionFrame.fin, 1), Buffer.from([0]), encodeHead(SessionFrame.fin, 1), Buffer.from([0])]),
    ],
    ['a channel that does not exist', Buffer.concat([encodeHead(SessionFrame.fin, 1), Buffer.from([200])])],
    ['a result from the client', Buffer.concat([encodeHead(SessionFrame.result, 2), Buffer.from('{}')])],
  ])('ends when the peer sends %s', async (_what, bytes) => {
    const { device, near } = await sessionPair();
    const aborted = once(device.session.signal, 'abort');
    near.write(bytes);
    await aborted;
    expect(device.session.signal.reason).toMatchObject({ code: 'protocol_error' });
  });

  it('refuses a result that is not one', async () => {
    const { client, far } = await sessionPair();
    const payload = Buffer.from('{"reason":"because"}');
    far.write(Buffer.concat([encodeHead(SessionFrame.result, payload.length), payload]));
    await expect(client.result).rejects.toMatchObject({ code: 'protocol_error' });
  });
});

describe('the session decoder', () => {
  const frame = fc.oneof(
    fc.record({ type: fc.integer({ min: 0x40, max: 0x7f }), payload: fc.uint8Array({ minLength: 1, maxLength: 300 }) }),
    fc.record({ type: fc.constant(SessionFrame.message), payload: fc.constant(Uint8Array.from(Buffer.from('{}'))) }),
    fc.record({ type: fc.constant(SessionFrame.fin), payload: fc.uint8Array({ minLength: 1, maxLength: 1, max: 63 }) }),
    fc.record({ type: fc.constant(SessionFrame.ack), payload: fc.constant(new Uint8Array(16)) }),
  );
  const collect = () => {
    const seen: string[] = [];
    const data = (channel: number, bytes: Buffer) => {
      const last = seen.at(-1);
      if (last?.startsWith(`${channel}:`)) seen[seen.length - 1] = last + bytes.toString('hex');
      else seen.push(`${channel}:${bytes.toString('hex')}`);
    };
    const decoder = new SessionDecoder({
      data,
      ack: (position) => seen.push(`ack ${position}`),
      message: (bytes) => seen.push(`message ${bytes}`),
      fin: (channel) => seen.push(`fin ${channel}`),
      result: (bytes) => seen.push(`result ${bytes}`),
    });
    return { decoder, seen };
  };

  it('sees the same frames and position however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 40 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.flatMap(({ type, payload }) => [encodeHead(type, payload.length), payload]));
          const whole = collect();
          whole.decoder.push(bytes);
          const pieces = collect();
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = cuts[turn % cuts.length]!;
            pieces.decoder.push(bytes.subarray(at, at + size));
            at += size;
          }
          expect(pieces.seen).toEqual(whole.seen);
          expect(pieces.decoder.position).toBe(whole.decoder.position);
        },
      ),
    );
  });

  it('answers arbitrary bytes with frames or protocol_error, never with another failure', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const { decoder } = collect();
        try {
          decoder.push(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ code: 'protocol_error' });
        }
      }),
      { numRuns: 500 },
    );
  });
});
