import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';

/** As much as Linux allows by default on large machines; the kernel takes less where it allows less. */
const SOCKET_BUFFER_BYTES = 4 * 2 ** 20;
/** What the kernel did not take yet, for one socket; more is dropped as by a full interface. */
const MAX_SEND_QUEUE_BYTES = 4 * 2 ** 20;

/** Opens a UDP socket on an address, and towards one other where `target` is given. */
export async function openSocket({ host, port = 0, target }) {
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    // Addresses only, no names: no packet waits for a look-up.
    lookup: (name, _options, done) => done(null, name, isIPv6(name) ? 6 : 4),
  });
  try {
    const listening = once(socket, 'listening');
    socket.bind({ address: host, port, exclusive: true });
    await listening;
    if (target === undefined) return socket;
    const connected = once(socket, 'connect');
    socket.connect(target.port, target.host);
    await connected;
    return socket;
  } catch (error) {
    await closeSocket(socket);
    throw error;
  }
}

/** False where the packet was dropped because the kernel takes no more. */
export function hasRoom(socket) {
  return socket.getSendQueueSize() < MAX_SEND_QUEUE_BYTES;
}

/** Closes a socket that may be closed already. */
export async function closeSocket(socket) {
  try {
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  } catch (error) {
    if (error?.code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING') throw error;
  }
}
