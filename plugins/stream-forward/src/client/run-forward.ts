import type { Socket as DatagramSocket, RemoteInfo } from 'node:dgram';
import type { Server } from 'node:net';
import { type CliHost, type CliInvocation, TowlineError } from '@towline/contract';
import { FLOW_IDLE_MS, FLOW_IDLE_SECONDS, MAX_FLOW_WAITING, MAX_LISTENERS } from '../limits.ts';
import { MAX_CHECKED, type TargetRange } from '../messages.ts';
import { type TargetMessage, targetText } from '../target/target.ts';
import { type Bound, bindTcp, bindUdp } from './bind.ts';
import { bindPath, exposedFolder } from './bind-path.ts';
import { type Forward, parseForward } from './parse-forward.ts';
import { type ServeParts, type Started, serveForwards } from './serve.ts';
import { noStatistics } from './statistics.ts';

/** Runs `towline DEVICE forward`. Resolves with the exit code. @throws TowlineError */
export async function runForward({ device, args, options }: CliInvocation, host: CliHost): Promise<number> {
  const forwards = args.map(parseForward);
  if (forwards.length === 0) {
    throw new TowlineError('usage', 'There is nothing to forward.', {
      hint: 'Use `towline DEVICE forward PORT`, or [BIND:]LOCAL[:HOST]:PORT; /udp behind it for UDP.',
    });
  }
  requireFew(forwards);
  return serveForwards(host, {
    device,
    check: forwards.map(rangeOf),
    flowIdleMs: readFlowIdle(options.udpIdle),
    start: async function* (parts) {
      for (const forward of forwards) yield* startAll(forward, parts);
    },
  });
}

/** Reads the value of `--udp-idle`, seconds. @throws TowlineError `usage`. */
export function readFlowIdle(text: unknown): number {
  if (text === undefined) return FLOW_IDLE_MS;
  const { least, most } = FLOW_IDLE_SECONDS;
  const seconds = typeof text === 'string' && /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds >= least && seconds <= most) return seconds * 1_000;
  throw new TowlineError('usage', `--udp-idle is not a number of seconds from ${least} to ${most}.`);
}

function requireFew(forwards: readonly Forward[]): void {
  const ports = forwards.reduce((count, { far }) => count + (far.kind === 'path' ? 1 : far.last - far.first + 1), 0);
  if (forwards.length <= MAX_CHECKED && ports <= MAX_LISTENERS) return;
  throw new TowlineError('usage', `One command forwards at most ${MAX_CHECKED} targets with ${MAX_LISTENERS} ports in all.`, {
    hint: 'Start another one for the rest; `socks` reaches every port by one.',
  });
}

function rangeOf({ protocol, far }: Forward): TargetRange {
  if (far.kind === 'path') return { kind: 'unix', path: far.path };
  return { kind: protocol, host: far.host, port: far.first, last_port: far.last };
}

async function* startAll(forward: Forward, parts: ServeParts): AsyncGenerator<Started> {
  const { far, local, protocol } = forward;
  if (far.kind === 'path') return yield await start(local, { kind: 'unix', path: far.path }, parts);
  for (let port = far.first; port <= far.last; port += 1) {
    const target: TargetMessage = { kind: protocol, host: far.host, port };
    const here = local.kind === 'path' ? local : { ...local, first: local.first === 0 ? 0 : local.first + port - far.first };
    yield protocol === 'udp' ? await startUdp(here, target, parts) : await start(here, target, parts);
  }
}

async function start(local: Forward['local'], target: TargetMessage, { connections, report }: ServeParts): Promise<Started> {
  const reported = { places: [] as readonly string[], target: targetText(target), protocol: target.kind, statistics: noStatistics() };
  const onConnection = (socket: import('node:net').Socket) => {
    if (connections.admit(socket, reported)) void connections.carry(socket, target, reported);
  };
  const bound: Bound<Server> =
    local.kind === 'path' ? await bindPath(local.path, onConnection) : await bindTcp(local.bind, local.first, onConnection);
  reported.places = bound.places;
  const exposed = local.kind === 'path' ? exposedFolder(local.path) : null;
  if (exposed !== null) report.warn(exposed);
  return { reported, isWide: bound.isWide, close: bound.close };
}

async function startUdp(local: Forward['local'], target: TargetMessage, { flows }: ServeParts): Promise<Started> {
  if (local.kind === 'path') throw new TowlineError('usage', 'A unix socket has no /udp.');
  const bound: Bound<DatagramSocket> = await bindUdp(local.bind, local.first);
  const reported = { places: bound.places, target: targetText(target), protocol: 'udp', statistics: noStatistics() };
  let closed = false;
  for (const [at, socket] of bound.parts.entries()) {
    const answerTo =
      ({ port, address }: RemoteInfo) =>
      (datagram: Buffer) => {
        if (closed || socket.getSendQueueSize() > MAX_FLOW_WAITING) reported.statistics.dropped += 1;
        else socket.send(datagram, port, address, () => {});
      };
    socket.on('error', () => {});
    socket.on('message', (datagram, from) => {
      const key = `${bound.places[at]} ${from.address} ${from.port}`;
      flows.send(key, datagram, () => ({ target, forward: reported, answer: answerTo(from) }));
    });
  }
  const close = () => {
    closed = true;
    bound.close();
  };
  return { reported, isWide: bound.isWide, close };
}
