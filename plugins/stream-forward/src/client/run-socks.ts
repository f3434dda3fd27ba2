import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type CliHost, type CliInvocation, TowlineError, toTowlineError } from '@towline/contract';
import { resetSocket } from '../carry-socket.ts';
import { SOCKS_HANDSHAKE_MS, SOCKS_PORT } from '../limits.ts';
import { bindTcp } from './bind.ts';
import type { Reported } from './report.ts';
import { readFlowIdle } from './run-forward.ts';
import { type ServeParts, type Started, serveForwards } from './serve.ts';
import { serveAssociation } from './socks-datagrams.ts';
import { acceptSocks, type SocksRequest } from './socks-handshake.ts';
import { replyOf, SOCKS_REPLY, type SocksTarget, socksReply } from './socks-message.ts';
import { noStatistics } from './statistics.ts';

/** Runs `towline DEVICE socks`. Resolves with the exit code. @throws TowlineError */
export function runSocks({ device, args, options }: CliInvocation, host: CliHost): Promise<number> {
  const port = readPort(args);
  return serveForwards(host, {
    device,
    check: [],
    flowIdleMs: readFlowIdle(options.udpIdle),
    start: async function* (parts) {
      yield await startProxy(port, parts);
    },
  });
}

function readPort([text, ...more]: readonly string[]): number {
  if (text === undefined) return SOCKS_PORT;
  if (more.length === 0 && /^[0-9]{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new TowlineError('usage', '`socks` takes one port, from 0 to 65535.', {
    hint: 'Use `towline DEVICE socks [PORT]`; it listens on this machine alone.',
  });
}

async function startProxy(port: number, parts: ServeParts): Promise<Started> {
  const reported = { places: [] as readonly string[], target: 'any target', protocol: 'socks5', statistics: noStatistics() };
  let count = 0;
  const bound = await bindTcp(undefined, port, (socket) => {
    count += 1;
    if (parts.connections.admit(socket, reported)) void serveProgram(socket, { parts, reported, id: `socks ${count}` });
  });
  reported.places = bound.places;
  return { reported, isWide: bound.isWide, close: bound.close };
}

interface Serving {
  readonly parts: ServeParts;
  readonly reported: Reported;
  readonly id: string;
}

async function serveProgram(socket: Socket, serving: Serving): Promise<void> {
  const { parts, reported } = serving;
  const request = await shakeHands(socket, serving);
  if (request === null) return;
  if (request.command === 'udp-associate') return await associate(socket, request.target, serving);
  const target = { kind: 'tcp', ...request.target } as const;
  try {
    const session = await parts.connections.open(socket, target, reported);
    socket.write(socksReply(SOCKS_REPLY.succeeded));
    await parts.connections.join(socket, session, { target, forward: reported });
  } catch (error) {
    await leave(socket, socksReply(replyOf(toTowlineError(error))));
  }
}

async function associate(socket: Socket, named: SocksTarget, serving: Serving): Promise<void> {
  const { parts, reported, id } = serving;
  try {
    await serveAssociation(socket, named, { flows: parts.flows, reported, id });
  } catch (thrown) {
    const error = toTowlineError(thrown);
    fail(error, serving);
    await leave(socket, socksReply(replyOf(error)));
  }
}

async function shakeHands(socket: Socket, serving: Serving): Promise<SocksRequest | null> {
  const limit = AbortSignal.timeout(SOCKS_HANDSHAKE_MS);
  try {
    return await acceptSocks(socket, limit);
  } catch (thrown) {
    fail(toTowlineError(thrown), serving);
    await leave(socket);
    return null;
  }
}

function fail(error: TowlineError, { parts, reported }: Serving): void {
  reported.statistics.failures += 1;
  parts.report.failed(reported, 'SOCKS', error);
}

/** Says a last word and leaves, also when the program does not listen to it. */
async function leave(socket: Socket, word?: Buffer): Promise<void> {
  if (socket.destroyed) return;
  if (!socket.writableEnded) {
    if (word === undefined) return resetSocket(socket);
    socket.end(word);
  }
  const timer = setTimeout(() => resetSocket(socket), SOCKS_HANDSHAKE_MS);
  socket.resume();
  await once(socket, 'close').catch(() => {});
  clearTimeout(timer);
}
