import { closeSocket, hasRoom, openSocket } from './flow-socket.mjs';

/** Packets that are due before the socket towards the target is open; it takes well under a millisecond. */
const MAX_WAITING = 256;
/** Former sockets of a flow stay bound, so that their ports answer nothing and are not given out again, up to this many. */
const MAX_FORMER = 4;

/**
 * One client's way to the target: a socket of its own, as the mapping of a network address translator. `onReply` gets
 * what the target sends to it, `onFault` is called for each packet that the kernel refused.
 */
export function createFlow({ client, from, target, onReply, onFault }) {
  const waiting = [];
  const former = [];
  let socket = null;
  let closed = false;

  const open = async (host) => {
    const next = await openSocket({ host, target });
    next.on('error', onFault);
    if (closed) await closeSocket(next);
    else next.on('message', onReply);
    return next;
  };
  const take = (next) => {
    socket = next;
    for (const packet of waiting.splice(0)) send(packet);
  };
  const send = (packet) => {
    if (closed) return;
    if (socket === null && waiting.length < MAX_WAITING) waiting.push(packet);
    else if (socket === null || !hasRoom(socket)) onFault();
    else socket.send(packet);
  };
  const opened = open(from).then((first) => closed || take(first));
  return {
    client,
    /** When a packet of it was seen last, for whoever must give one up. */
    usedMs: Number.POSITIVE_INFINITY,
    /** Rejects when the first socket could not be opened. */
    opened,
    send,
    ports: () => (socket === null || closed ? [] : [socket.address().port]),
    /** From now on the target sees another port, and `host` as address where it is given. What still comes to the former one is thrown away. */
    async rebind(host) {
      await opened;
      if (closed) return null;
      const before = addressOf(socket);
      const next = await open(host ?? before.host);
      if (closed) return null;
      socket.removeListener('message', onReply);
      former.push(socket);
      take(next);
      if (former.length > MAX_FORMER) await closeSocket(former.shift());
      return { client, before, after: addressOf(next) };
    },
    async close() {
      closed = true;
      waiting.length = 0;
      await opened.catch(() => {});
      for (const each of [...former, ...(socket === null ? [] : [socket])]) await closeSocket(each);
    },
  };
}

function addressOf(socket) {
  const { address, port } = socket.address();
  return { host: address, port };
}
