import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { TowlineError } from '@towline/protocol';
import type { HostPort } from '../binding/quiche.ts';
import type { DatagramSocket } from './datagram-socket.ts';

/** Socket buffers that are asked for, bytes: the kernel gives as much as it allows. */
const WANTED_BUFFER_BYTES = 8_388_608;

/** A UDP socket. */
export interface UdpSocket extends DatagramSocket {
  /** What the kernel gave, bytes. Linux counts its own bookkeeping in, so that half of it holds packets. */
  readonly bufferBytes: { readonly receive: number; readonly send: number };
}

/** Where a UDP socket is bound, or whom it is connected to. */
export type UdpTarget = { readonly bind: HostPort } | { readonly connect: HostPort };

/**
 * Opens a UDP socket with large buffers. A connected one takes packets of its peer alone, knows the address it goes
 * out from, and learns when the peer's port refuses. @throws TowlineError `unavailable` where it cannot be bound, `relay_unreachable` without a route.
 */
export async function openUdpSocket(target: UdpTarget): Promise<UdpSocket> {
  const { host } = 'bind' in target ? target.bind : target.connect;
  const socket = createSocket({
    type: isIP(host) === 6 ? 'udp6' : 'udp4',
    // Addresses are literals already; Node's own look-up would put each packet off to the next tick.
    lookup: ((address: string, _family: number, done: (error: null, address: string) => void) => done(null, address)) as never,
  });
  try {
    await ('bind' in target ? bind(socket, target.bind) : connect(socket, target.connect));
  } catch (error) {
    socket.close();
    throw error;
  }
  return wrap(socket, 'connect' in target);
}

function bind(socket: Socket, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'it is in use' : error.code === 'EACCES' ? 'not permitted' : error.message;
      reject(new TowlineError('unavailable', `UDP port ${port} cannot be opened: ${reason}.`, { cause: error }));
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
}

function connect(socket: Socket, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    // `connect` tells of errors through its callback alone.
    socket.connect(port, host, ((cause?: NodeJS.ErrnoException) => {
      if (cause) reject(new TowlineError('relay_unreachable', `There is no way to ${host}: ${cause.code ?? cause.message}.`, { cause }));
      else resolve();
    }) as () => void);
  });
}

function wrap(socket: Socket, connected: boolean): UdpSocket {
  const { address, port } = socket.address();
  const bufferBytes = { receive: grow(socket, 'Recv'), send: grow(socket, 'Send') };
  let onPacket: (packet: Buffer, from: HostPort) => void = () => {};
  let onError: (error: Error) => void = () => {};
  let closed = false;
  socket.on('message', (packet: Buffer, from: RemoteInfo) => {
    // Port 0 is nobody's: it can be forged, and nothing can be sent there.
    if (from.port !== 0) onPacket(packet, { host: from.address, port: from.port });
  });
  // Without a callback `send` tells of its errors here as well.
  socket.on('error', (error) => onError(error));
  return {
    local: { host: address, port },
    bufferBytes,
    send(packet, to) {
      if (closed) return;
      try {
        if (connected) socket.send(packet);
        else socket.send(packet, to.port, to.host);
      } catch (error) {
        // An address that Node refuses to send to, or a socket that is gone: the packet is lost, no more.
        onError(error as Error);
      }
    },
    onPacket(listener) {
      onPacket = listener;
    },
    onError(listener) {
      onError = listener;
    },
    unref() {
      socket.unref();
    },
    close() {
      if (closed) return;
      closed = true;
      onPacket = () => {};
      socket.close();
    },
  };
}

/** Asks for the large buffer, then for smaller ones where the kernel refuses instead of giving less. */
function grow(socket: Socket, which: 'Recv' | 'Send'): number {
  for (let bytes = WANTED_BUFFER_BYTES; bytes >= 262_144; bytes /= 2) {
    try {
      socket[`set${which}BufferSize`](bytes);
      break;
    } catch {
      // The next one is half as large.
    }
  }
  return socket[`get${which}BufferSize`]();
}
