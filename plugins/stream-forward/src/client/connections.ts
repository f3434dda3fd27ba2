import type { Socket } from 'node:net';
import { type ClientSession, isErrorCode, type SessionResult, TowlineError, toTowlineError } from '@towline/protocol';
import { carrySocket, resetSocket } from '../carry-socket.ts';
import { MAX_CONNECTIONS, RESULT_MS } from '../limits.ts';
import { type TargetMessage, targetText } from '../target/target.ts';
import type { Openings } from './openings.ts';
import type { Report, Reported } from './report.ts';

/** Codes that say that this side gave up; nothing to report. */
const OWN_END = 'cancelled';

/** The connections of one command. */
export interface Connections {
  /** Whether there is room for one more. Otherwise it is counted as failed, and reset. */
  admit(socket: Socket, forward: Reported): boolean;
  /** Opens the target on the device for an admitted connection, and carries it to its end. Never rejects. */
  carry(socket: Socket, target: TargetMessage, forward: Reported): Promise<void>;
  /** Opens the target alone; whoever has the session carries it by {@link join}. @throws TowlineError after reporting it. */
  open(socket: Socket, target: TargetMessage, forward: Reported): Promise<ClientSession>;
  /** Carries an admitted connection to its end. Never rejects. */
  join(socket: Socket, session: ClientSession, about: { readonly target: TargetMessage; readonly forward: Reported }): Promise<void>;
  /** Resets all, and admits no more. */
  close(): void;
}

/** Makes it. */
export function createConnections(openings: Openings, report: Report): Connections {
  const open = new Set<Socket>();
  const joined = new Map<Socket, Reported>();
  let closed = false;
  const count = (socket: Socket) => {
    const statistics = joined.get(socket)?.statistics;
    if (statistics === undefined || !joined.delete(socket)) return;
    statistics.bytesToDevice += socket.bytesRead;
    statistics.bytesFromDevice += socket.bytesWritten;
  };
  const fail = (forward: Reported, target: TargetMessage, error: TowlineError) => {
    forward.statistics.failures += 1;
    if (!closed && error.code !== OWN_END) report.failed(forward, targetText(target), error);
  };
  const connections: Connections = {
    admit(socket, forward) {
      // Whoever carries it learns of its end; before that there is nobody to tell.
      socket.on('error', () => {});
      forward.statistics.connections += 1;
      if (!closed && open.size < MAX_CONNECTIONS) {
        open.add(socket);
        socket.once('close', () => open.delete(socket));
        return true;
      }
      forward.statistics.failures += 1;
      resetSocket(socket);
      return false;
    },
    async carry(socket, target, forward) {
      const session = await connections.open(socket, target, forward).catch(() => null);
      if (session === null) resetSocket(socket);
      else await connections.join(socket, session, { target, forward });
    },
    async open(socket, target, forward) {
      const left = new AbortController();
      const leave = () => left.abort(new TowlineError(OWN_END));
      socket.once('close', leave);
      try {
        if (socket.destroyed) throw new TowlineError(OWN_END);
        const { session } = await openings.open({ target }, left.signal);
        return session;
      } catch (thrown) {
        const error = toTowlineError(thrown);
        fail(forward, target, error);
        throw error;
      } finally {
        socket.off('close', leave);
      }
    },
    async join(socket, session, { target, forward }) {
      joined.set(socket, forward);
      const { end } = await carrySocket(socket, session);
      count(socket);
      const isOwnEnd = closed || end === 'socket';
      if (isOwnEnd) session.cancel();
      const error = isOwnEnd ? null : await errorOf(session);
      if (error !== null) fail(forward, target, error);
    },
    close() {
      closed = true;
      for (const socket of open) {
        count(socket);
        resetSocket(socket);
      }
    },
  };
  return connections;
}

/** What went wrong on the other side; null when nothing did. The device tells it right after the last byte. */
async function errorOf(session: ClientSession): Promise<TowlineError | null> {
  const timer = setTimeout(() => session.cancel(), RESULT_MS);
  try {
    return failureOf(await session.result);
  } catch (error) {
    return toTowlineError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What a result of the device says went wrong; null when nothing did. */
export function failureOf({ reason, code, message }: SessionResult): TowlineError | null {
  return reason === 'ended' ? null : new TowlineError(isErrorCode(code) ? code : 'session_broken', message);
}
