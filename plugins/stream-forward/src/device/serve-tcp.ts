import type { Socket } from 'node:net';
import type { PreparedSession } from '@towline/contract';
import { type DeviceSession, type SessionResult, TowlineError } from '@towline/protocol';
import { carrySocket } from '../carry-socket.ts';
import { targetError } from './connect.ts';

/** A session that carries a connection which stands already. */
export function connectionSession(socket: Socket): PreparedSession {
  return { answer: {}, run: (session) => serve(socket, session), abandon: () => void socket.destroy() };
}

async function serve(socket: Socket, session: DeviceSession): Promise<SessionResult> {
  const ended = await carrySocket(socket, session);
  if (ended.end !== 'socket') return { reason: 'ended' };
  const { code, message } = resetError(ended.error);
  // No clean end for what was cut off: the result is what the client sees next.
  session.output(0).destroy();
  return { reason: 'failed', code, message };
}

function resetError(error: NodeJS.ErrnoException): TowlineError {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return new TowlineError('target_reset');
  return targetError(error);
}
