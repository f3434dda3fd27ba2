import type { Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';

/** Reads exactly so many bytes; what follows them stays in the socket. @throws TowlineError when it ends before, or the signal aborts. */
export function readBytes(socket: Socket, count: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => {
      socket.off('readable', look).off('end', ended).off('close', ended);
      signal.removeEventListener('abort', late);
      outcome();
    };
    const ended = () =>
      settle(() => reject(new TowlineError('protocol_error', 'A program on this machine left in the middle of a request.')));
    const late = () => settle(() => reject(new TowlineError('timeout', 'A program on this machine did not say what it wants.')));
    // Less than was asked for comes only at the end. The listener stays until all is there: adding it makes it fire.
    const look = () => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes?.length === count) settle(() => resolve(bytes));
      else if (bytes !== null || socket.readableEnded || socket.destroyed) ended();
    };
    socket.on('readable', look).once('end', ended).once('close', ended);
    signal.addEventListener('abort', late, { once: true });
    if (signal.aborted) late();
    else look();
  });
}
