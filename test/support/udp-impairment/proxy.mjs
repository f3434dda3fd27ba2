import { isIP, isIPv6 } from 'node:net';
import { createFlow } from './flow.mjs';
import { closeSocket, hasRoom, openSocket } from './flow-socket.mjs';
import { readKernelDrops } from './kernel-drops.mjs';
import { createPath } from './path.mjs';
import { readNumber } from './profile.mjs';

/** Each flow is a socket; the usual limit of open files is 1,024. */
const MAX_FLOWS = 900;

/** Listens for clients and forwards each of them to the target by a socket of its own, over an impaired path. */
export async function openUdpImpairment({ target, listen = {}, from, maxFlows = MAX_FLOWS, ...pathOptions }) {
  readAddress(target, 'target', 1);
  const loopback = isIPv6(target.host) ? '::1' : '127.0.0.1';
  const near = readAddress({ host: loopback, port: 0, ...listen }, 'listen');
  const source = readAddress({ host: from ?? loopback, port: 0 }, 'from').host;
  readNumber(maxFlows, { where: 'maxFlows', least: 1, most: 100_000 });
  const path = createPath(pathOptions);
  const socket = await openSocket(near);
  const flows = new Map();
  const faults = { up: 0, down: 0, refusedFlows: 0, endedFlows: 0 };
  const lateness = { count: 0, sumMs: 0, maxMs: 0 };
  const departures = createDepartures(path, ({ direction, packet, carry, dueMs }, nowMs) => {
    const lateMs = nowMs - dueMs;
    lateness.count += 1;
    lateness.sumMs += lateMs;
    lateness.maxMs = Math.max(lateness.maxMs, lateMs);
    if (direction === 'up') carry.send(packet);
    else if (hasRoom(socket)) socket.send(packet, carry.client.port, carry.client.host);
    else faults.down += 1;
  });
  const send = (direction, { flow, packet, carry }) => {
    const nowMs = performance.now();
    carry.usedMs = nowMs;
    path.send(nowMs, direction, { flow, packet, carry });
    departures.arm(nowMs);
  };

  const end = async (key) => {
    const { flow, way } = flows.get(key);
    flows.delete(key);
    flow.end();
    faults.endedFlows += 1;
    await way.close();
  };
  const begin = (key, { address, port }) => {
    const flow = path.openFlow();
    const way = createFlow({
      client: { host: address, port },
      from: source,
      target,
      onReply: (packet) => send('down', { flow, packet, carry: way }),
      onFault: () => (faults.up += 1),
    });
    const entry = { flow, way };
    flows.set(key, entry);
    way.opened.catch(() => {
      faults.refusedFlows += 1;
      if (flows.get(key) === entry) void end(key);
    });
    if (flows.size > maxFlows) void end(longestUnused(flows));
    return entry;
  };
  socket.on('message', (packet, remote) => {
    const key = `${remote.address} ${remote.port}`;
    const { flow, way } = flows.get(key) ?? begin(key, remote);
    send('up', { flow, packet, carry: way });
  });
  socket.on('error', () => (faults.down += 1));

  const close = async () => {
    departures.stop();
    await Promise.all([closeSocket(socket), ...[...flows.keys()].map(end)]);
  };
  const { address: host, port } = socket.address();
  return {
    local: Object.freeze({ host, port }),
    change: path.change,
    blackHole: path.blackHole,
    decisions: path.decisions,
    statistics() {
      const { up, down } = path.statistics();
      const flowPorts = [...flows.values()].flatMap(({ way }) => way.ports());
      return {
        up: { ...up, unsent: faults.up, kernelDropped: readKernelDrops([port]) },
        down: { ...down, unsent: faults.down, kernelDropped: readKernelDrops(flowPorts) },
        flows: { open: flows.size, ended: faults.endedFlows, refused: faults.refusedFlows },
        lateness: { meanMs: lateness.count === 0 ? 0 : lateness.sumMs / lateness.count, maxMs: lateness.maxMs },
      };
    },
    async rebind({ host: other } = {}) {
      if (other !== undefined) readAddress({ host: other, port: 0 }, 'rebind');
      const moved = await Promise.all([...flows.values()].map(({ way }) => way.rebind(other)));
      return moved.filter((each) => each !== null);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The flow to give up where there are too many. */
function longestUnused(flows) {
  let [chosen] = flows.keys();
  for (const [key, { way }] of flows) if (way.usedMs < flows.get(chosen).way.usedMs) chosen = key;
  return chosen;
}

/** Lets packets go when they are due, with one timer for all of them. Timers are exact to a millisecond: what is due within one leaves together. */
function createDepartures(path, depart) {
  let timer;
  let timerDueMs = Number.POSITIVE_INFINITY;
  let stopped = false;
  const run = (nowMs) => {
    for (let due = path.takeDue(nowMs); due !== undefined; due = path.takeDue(nowMs)) depart(due, nowMs);
  };
  const arm = (nowMs) => {
    if (stopped) return;
    run(nowMs);
    const dueMs = path.nextDueMs();
    if (dueMs === null || dueMs >= timerDueMs) return;
    clearTimeout(timer);
    timerDueMs = dueMs;
    timer = setTimeout(
      () => {
        timerDueMs = Number.POSITIVE_INFINITY;
        arm(performance.now());
      },
      Math.ceil(dueMs - nowMs),
    );
  };
  return {
    arm,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

function readAddress(address, where, leastPort = 0) {
  const { host, port } = address ?? {};
  if (host === undefined) throw new TypeError(`${where} must be an IP address and a port`);
  if (typeof host !== 'string' || isIP(host) === 0) throw new TypeError(`${where} must be an IP address, not ${String(host)}`);
  readNumber(port, { where: `${where}.port`, least: leastPort, most: 65_535 });
  return { host, port };
}
