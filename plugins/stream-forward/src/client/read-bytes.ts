import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';

/** Reads exactly so many bytes; what follows them stays in the socket. @throws TowlineError when it ends before, or the signal aborts. */
export async function readBytes(socket: Socket, count: number, signal: AbortSignal): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(count) as Buffer | null;
    if (bytes?.length === count) return bytes;
    if (bytes !== null || socket.readableEnded || socket.destroyed)
      throw new TowlineError('protocol_error', 'The program ended too early.');
    try {
      await once(socket, 'readable', { signal });
    } catch (cause) {
      throw new TowlineError('timeout', 'The program did not say what it wants.', { cause });
    }
  }
}
