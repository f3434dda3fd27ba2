import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { TowlineError } from '@towline/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { joinStreams } from '../src/join-streams.ts';

const opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true });
  const [[far]] = (await Promise.all([once(server, 'connection'), once(near, 'connect')])) as [[Socket], unknown];
  server.close();
  opened.push(near, far);
  return [near, far];
}

/** What comes until the end; unlike an iteration it leaves the other direction open. */
function text(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = '';
    socket
      .on('data', (bytes) => (all += String(bytes)))
      .once('end', () => resolve(all))
      .once('error', reject);
  });
}

describe('two joined streams', () => {
  it('carry bytes both ways and end each direction by itself', async () => {
    const [[client, a], [b, device]] = await Promise.all([pair(), pair()]);
    const joined = joinStreams(a, b);
    client.end('question');
    expect(await text(device)).toBe('question');
    device.end('answer');
    expect(await text(client)).toBe('answer');
    expect(await joined).toEqual({ error: null });
  });

  it('break together, with the error of the one that broke', async () => {
    const [[, a], [b]] = await Promise.all([pair(), pair()]);
    const joined = joinStreams(a, b);
    a.destroy(new TowlineError('link_lost'));
    expect((await joined).error).toMatchObject({ code: 'link_lost' });
    expect(b.destroyed).toBe(true);
  });

  it('are over at once when one of them was over before', async () => {
    const [[, a], [b]] = await Promise.all([pair(), pair()]);
    a.destroy();
    await once(a, 'close');
    expect((await joinStreams(a, b)).error).toMatchObject({ code: 'cancelled' });
    expect(b.destroyed).toBe(true);
  });

  it('stop the writer when the reader stops', async () => {
    const [[client, a], [b, device]] = await Promise.all([pair(), pair()]);
    void joinStreams(a, b);
    device.pause();
    let accepted = 0;
    client.on('drain', () => {});
    for (let stalled = 0; stalled < 20; ) {
      if (client.write(Buffer.alloc(65_536))) accepted += 65_536;
      else {
        const moved = await Promise.race([
          once(client, 'drain').then(() => true),
          new Promise((late) => setTimeout(() => late(false), 50)),
        ]);
        stalled = moved ? 0 : stalled + 1;
        if (!moved) break;
      }
      expect(accepted).toBeLessThan(64 * 1024 * 1024);
    }
    expect(client.writableLength).toBeGreaterThan(0);
  });
});
