import { createImpairedPair, type Endpoint, followClock, type Profile } from '../../../test/support/udp-impairment/impairment.mjs';
import type { DatagramSocket } from '../src/loop/datagram-socket.ts';

/** A way between two sockets that are in this process and no system's. */
export interface Wire extends Disposable {
  readonly client: DatagramSocket;
  readonly server: DatagramSocket;
  /** From here on packets fare as these say. */
  impair(up: Profile, down: Profile): void;
}

/** Makes a wire on which nothing is lost yet, and which delivers by the clock of this machine. */
export function openWire(seed: number): Wire {
  const pair = createImpairedPair({ seed });
  const clock = followClock(pair);
  return {
    client: asSocket(pair.client),
    server: asSocket(pair.server),
    impair(up, down) {
      pair.change('up', up);
      pair.change('down', down);
    },
    [Symbol.dispose]: () => clock[Symbol.dispose](),
  };
}

function asSocket(endpoint: Endpoint): DatagramSocket {
  let closed = false;
  return {
    local: endpoint.local,
    send(packet, to) {
      if (!closed) endpoint.send(packet, to);
    },
    onPacket: (listener) => endpoint.onPacket(listener),
    onError: () => {},
    unref: () => {},
    close() {
      closed = true;
      endpoint.close();
    },
  };
}
