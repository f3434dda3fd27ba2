import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { PreparedSession } from '@towline/contract';
import type { DeviceSession, SessionResult } from '@towline/protocol';
import { DatagramSplitter, encodeDatagram } from '../datagrams.ts';
import { DEVICE_FLOW_IDLE_MS, MAX_FLOW_QUEUED, MAX_FLOW_WAITING } from '../limits.ts';
import { type Address, formatAddress } from '../target/address.ts';
import { targetError } from './connect.ts';

/** A session that carries one flow of datagrams. The socket is connected: only what comes from the target is taken. @throws TowlineError */
export async function flowSession(address: Address, port: number, idleMs = DEVICE_FLOW_IDLE_MS): Promise<PreparedSession> {
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  // A target that does not listen is no fault of the flow: the next datagram may find it.
  const ignore = () => {};
  try {
    socket.connect(port, formatAddress(address));
    await once(socket, 'connect');
  } catch (error) {
    socket.on('error', ignore).close();
    throw targetError(error as NodeJS.ErrnoException);
  }
  socket.on('error', ignore);
  return { answer: {}, run: (session) => serve(socket, session, idleMs), abandon: () => void socket.close() };
}

function serve(socket: Socket, session: DeviceSession, idleMs: number): Promise<SessionResult> {
  return new Promise((resolve) => {
    const [input, output] = [session.input(0), session.output(0)];
    const end = (result: SessionResult) => {
      clearTimeout(timer);
      session.signal.removeEventListener('abort', leave);
      if (!closed) socket.close();
      closed = true;
      resolve(result);
    };
    let closed = false;
    let queued = 0;
    const leave = () => end({ reason: 'ended' });
    const timer = setTimeout(leave, idleMs);
    const splitter = new DatagramSplitter((datagram) => {
      timer.refresh();
      if (closed || socket.getSendQueueSize() > MAX_FLOW_WAITING || socket.getSendQueueCount() > MAX_FLOW_QUEUED) return;
      socket.send(datagram, () => {});
    });
    socket.on('message', (datagram) => {
      timer.refresh();
      if (output.writableLength > MAX_FLOW_WAITING || queued > MAX_FLOW_QUEUED) return;
      queued += 1;
      output.write(encodeDatagram(datagram), () => {
        queued -= 1;
      });
    });
    input.on('data', (bytes: Buffer) => {
      try {
        splitter.push(bytes);
      } catch {
        end({ reason: 'failed', code: 'protocol_error', message: 'The client sent what is no datagram.' });
      }
    });
    input.on('end', leave);
    if (session.signal.aborted) leave();
    else session.signal.addEventListener('abort', leave, { once: true });
  });
}
