// Traffic over a local port, measured.
import { once } from 'node:events';
import { connect } from 'node:net';

const PIECE = Buffer.alloc(65_536, 1);
const dial = async (port) => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
};

/** Fetches so many bytes from a source. Resolves when the last one is here. */
export async function fetchBytes(port, bytes) {
  const socket = await dial(port);
  socket.write(String(bytes));
  let got = 0;
  socket.on('data', (chunk) => {
    got += chunk.length;
  });
  await once(socket, 'end');
  socket.end();
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
}

/** Sends so many bytes to a sink. Resolves when it has told that it has all. */
export async function sendBytes(port, bytes) {
  const socket = await dial(port);
  const answer = once(socket, 'data');
  for (let left = bytes; left > 0; left -= PIECE.length)
    if (!socket.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)) await once(socket, 'drain');
  socket.end();
  const got = Number(String((await answer)[0]));
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
}

/** MB/s of a work that moves so many bytes. */
export async function rate(bytes, work) {
  const since = performance.now();
  await work();
  return bytes / 1e3 / (performance.now() - since);
}

/** Round trips of one byte on one connection, milliseconds, sorted. */
export async function roundTrips(port, count) {
  const socket = await dial(port);
  const times = [];
  for (let turn = 0; turn < count + 50; turn += 1) {
    const since = performance.now();
    socket.write('x');
    await once(socket, 'data');
    if (turn >= 50) times.push(performance.now() - since);
  }
  socket.destroy();
  return times.sort((a, b) => a - b);
}

/** Begins to fetch without end; answers how to stop. */
export async function beginBulk(port) {
  const socket = await dial(port);
  socket.on('error', () => {});
  socket.write(String(1e15));
  socket.resume();
  await once(socket, 'data');
  return () => socket.destroy();
}

/** Opens so many connections a second, each for one byte there and back. Answers their times, sorted, and how many failed. */
export async function openings(port, perSecond, seconds) {
  const times = [];
  let failed = 0;
  const one = async () => {
    const since = performance.now();
    try {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.write('x');
      await once(socket, 'data', { signal: AbortSignal.timeout(30_000) });
      times.push(performance.now() - since);
      socket.destroy();
    } catch {
      failed += 1;
    }
  };
  const running = [];
  const begin = performance.now();
  for (let opened = 0; opened < perSecond * seconds; ) {
    const due = Math.min(perSecond * seconds, ((performance.now() - begin) / 1e3) * perSecond);
    while (opened < due) {
      running.push(one());
      opened += 1;
    }
    await new Promise((later) => setTimeout(later, 5));
  }
  await Promise.all(running);
  return { times: times.sort((a, b) => a - b), failed };
}
