import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { LinkUpgrade, Log, RelayDoor } from '@towline/contract';
import { acceptUpgrade, readMessage, startDeadline, UPGRADE_TOKEN } from '@towline/link';
import { AUTHENTICATION_DEADLINE_MS, TowlineError, toTowlineError } from '@towline/protocol';
import { MAX_PREFACE_BYTES, openPreface } from '../edge/preface.ts';
import type { Door } from '../edge/reach-door.ts';
import { makePrivateFolder, type PrivateFolder, removePrivateFolder } from './private-folder.ts';

/** Connections that may be without a preface at a time. The edge sends it at once. */
const MAX_WAITING = 512;
/** A connection without a right preface is logged at most so often, milliseconds. */
const LOG_EVERY_MS = 60_000;

const UPGRADE: LinkUpgrade = Object.freeze({ transport: 'quic', token: UPGRADE_TOKEN, complete: acceptUpgrade });

/** What a private socket is opened with. */
export interface PrivateSocketParts {
  /** Where its folder may be, the best place first. */
  readonly folders: readonly string[];
  readonly accept: RelayDoor['accept'];
  readonly maxConnections: number;
  readonly log: Log;
  /** Time for the preface, milliseconds; 5 s by default. */
  readonly prefaceMs?: number;
}

/** The relay's end of the way between it and its edge. Connections that the door has are not closed with it. */
export interface PrivateSocket extends AsyncDisposable {
  readonly door: Door;
  readonly folder: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** Opens it, with a secret of its own. @throws TowlineError `unavailable` when none of the folders will do. */
export async function openPrivateSocket(parts: PrivateSocketParts): Promise<PrivateSocket> {
  const secret = randomBytes(32).toString('hex');
  const reception = createReception(parts, secret);
  const server = createServer((socket) => void reception.take(socket));
  server.maxConnections = parts.maxConnections + MAX_WAITING;
  const folder = await listenInFirst(server, parts.folders);
  // As when the process has no descriptor left to accept with: the next connection may find one.
  server.on('error', (error) => parts.log.warn('the private socket of the QUIC edge failed', { error }));
  return {
    door: { path: folder.socketPath, secret },
    folder: folder.path,
    get figures() {
      return reception.figures;
    },
    async [Symbol.asyncDispose]() {
      if (server.listening) server.close();
      reception.close();
      await removePrivateFolder(folder.path);
    },
  };
}

async function listenInFirst(server: Server, folders: readonly string[]): Promise<PrivateFolder> {
  const reasons: string[] = [];
  for (const parent of folders) {
    let folder: PrivateFolder | undefined;
    try {
      folder = await makePrivateFolder(parent);
      await listen(server, folder.socketPath);
      return folder;
    } catch (error) {
      if (folder !== undefined) await removePrivateFolder(folder.path);
      reasons.push(`${parent}: ${(error as Error).message}`);
    }
  }
  throw new TowlineError('unavailable', 'No folder will do for the private socket between relay and QUIC edge.', {
    hint: 'Give the relay a data folder with a short path that only its user can write.',
    detail: reasons.join('; '),
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Takes connections and lets those with a right preface through the door. */
function createReception({ accept, log, prefaceMs = AUTHENTICATION_DEADLINE_MS }: PrivateSocketParts, secret: string) {
  const waiting = new Set<Socket>();
  let closed = false;
  let dropped = 0;
  let loggedMs = Number.NEGATIVE_INFINITY;
  const drop = (socket: Socket, error: TowlineError) => {
    socket.destroy();
    if (closed) return;
    dropped += 1;
    if (performance.now() - loggedMs < LOG_EVERY_MS) return;
    loggedMs = performance.now();
    log.warn('a connection to the private socket of the QUIC edge was dropped', { error, dropped });
  };
  const readAddress = async (socket: Socket) => {
    using deadline = startDeadline(prefaceMs, () => new TowlineError('timeout', 'No preface came in time.'));
    return openPreface(await readMessage(socket, MAX_PREFACE_BYTES, deadline.signal), secret);
  };
  return {
    async take(socket: Socket): Promise<void> {
      socket.on('error', () => socket.destroy());
      if (waiting.size >= MAX_WAITING) return drop(socket, new TowlineError('rate_limited', 'Too many connections are without a preface.'));
      waiting.add(socket);
      try {
        const address = await readAddress(socket);
        accept(socket, { address }, UPGRADE);
      } catch (error) {
        drop(socket, toTowlineError(error));
      } finally {
        waiting.delete(socket);
      }
    },
    close() {
      closed = true;
      for (const socket of waiting) socket.destroy();
    },
    get figures() {
      return { dropped_prefaces_total: dropped };
    },
  };
}
