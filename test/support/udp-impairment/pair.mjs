import { createPath } from './path.mjs';

const CLIENT = Object.freeze({ host: '192.0.2.1', port: 40_000 });
const SERVER = Object.freeze({ host: '198.51.100.1', port: 443 });
/** More than this within one `advance` is two ends that answer each other without any delay, for ever. */
const MAX_DELIVERIES = 100_000;
const MAX_DATAGRAM_BYTES = 65_507;

/**
 * Two endpoints in memory with an impaired path between them and no clock but the caller's: nothing arrives until
 * `advance`. The client is `up`'s sender, as seen through an address translator that can forget.
 */
export function createImpairedPair({ client = CLIENT, server = SERVER, ...pathOptions }) {
  const path = createPath(pathOptions);
  const flow = path.openFlow();
  const unroutable = { up: 0, down: 0 };
  let nowMs = 0;
  /** The client's address as the server sees it. */
  let mapped = client;

  const createEndpoint = (direction, { local, peer }) => {
    const listeners = new Set();
    let closed = false;
    return {
      receive(packet, from) {
        if (closed) return void (unroutable[direction === 'up' ? 'down' : 'up'] += 1);
        for (const listener of listeners) listener(packet, from);
      },
      endpoint: {
        local,
        /** Sends a copy of the bytes. To any address but the other end's, as the network knows it now, they are lost. */
        send(bytes, to) {
          if (closed) throw new Error('this endpoint is closed');
          if (bytes.length > MAX_DATAGRAM_BYTES)
            throw new RangeError(`a datagram has at most ${MAX_DATAGRAM_BYTES} bytes, not ${bytes.length}`);
          const { host, port } = peer();
          if (to.host !== host || to.port !== port) unroutable[direction] += 1;
          else path.send(nowMs, direction, { flow, packet: Buffer.from(bytes) });
        },
        onPacket: (listener) => void listeners.add(listener),
        close() {
          closed = true;
          listeners.clear();
        },
      },
    };
  };
  const ends = {
    up: createEndpoint('up', { local: client, peer: () => server }),
    down: createEndpoint('down', { local: server, peer: () => mapped }),
  };
  const deliver = ({ direction, packet }) => {
    if (direction === 'up') ends.down.receive(packet, mapped);
    else ends.up.receive(packet, server);
  };
  return {
    client: ends.up.endpoint,
    server: ends.down.endpoint,
    now: () => nowMs,
    /** Milliseconds until the next packet arrives; null when none is on its way. */
    nextDueMs() {
      const dueMs = path.nextDueMs();
      return dueMs === null ? null : Math.max(0, dueMs - nowMs);
    },
    /** Lets time pass and delivers what is due meanwhile, each packet at its own moment; answers sent then count from that moment. */
    advance(ms) {
      if (!(ms >= 0 && Number.isFinite(ms))) throw new RangeError(`advance needs milliseconds, not ${String(ms)}`);
      const untilMs = nowMs + ms;
      let deliveries = 0;
      for (let due = path.takeDue(untilMs); due !== undefined; due = path.takeDue(untilMs)) {
        if ((deliveries += 1) > MAX_DELIVERIES) {
          throw new Error(`more than ${MAX_DELIVERIES} packets in ${ms} ms: give the profile a delay, or advance in smaller steps`);
        }
        nowMs = Math.max(nowMs, due.dueMs);
        deliver(due);
      }
      nowMs = untilMs;
      return deliveries;
    },
    /** From now on the server sees the client at another port (the next one when none is given) or another address; what it sends to the former is lost. */
    rebind({ host = mapped.host, port = mapped.port + 1 } = {}) {
      mapped = Object.freeze({ host, port });
      return mapped;
    },
    change: path.change,
    blackHole: path.blackHole,
    decisions: path.decisions,
    statistics() {
      const { up, down } = path.statistics();
      return { up: { ...up, unroutable: unroutable.up }, down: { ...down, unroutable: unroutable.down } };
    },
  };
}

/** Lets a pair's time follow the clock of the machine, for code that has timers of its own. Dispose it to stop. */
export function followClock(pair) {
  let last = performance.now();
  let timer;
  let stopped = false;
  const step = () => {
    const now = performance.now();
    const passed = now - last;
    last = now;
    pair.advance(passed);
    if (!stopped) timer = setTimeout(step, 1);
  };
  timer = setTimeout(step, 1);
  return {
    [Symbol.dispose]() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
