import type { HostPort } from '../src/binding/quiche.ts';
import type { DatagramSocket } from '../src/loop/datagram-socket.ts';

/** A packet as it went by. */
export interface SeenPacket {
  readonly packet: Buffer;
  /** Where it came from, or went to. */
  readonly peer: HostPort;
}

/** A socket that can be listened in on, and to whose reader anybody can send from any address. */
export interface TappedSocket extends DatagramSocket {
  readonly received: SeenPacket[];
  readonly sent: SeenPacket[];
  /** Delivers a copy of these bytes as if they had come from there. */
  inject(packet: Uint8Array, from: HostPort): void;
  /** Closes it without a word, as when its process is killed. */
  cut(): void;
}

/** Taps a socket. It remembers some thousand packets each way. */
export function tap(socket: DatagramSocket): TappedSocket {
  const received: SeenPacket[] = [];
  const sent: SeenPacket[] = [];
  let deliver: (packet: Buffer, from: HostPort) => void = () => {};
  return {
    local: socket.local,
    received,
    sent,
    send(packet, to) {
      if (sent.length < 5_000) sent.push({ packet: Buffer.from(packet), peer: to });
      socket.send(packet, to);
    },
    onPacket(listener) {
      deliver = listener;
      socket.onPacket((packet, from) => {
        if (received.length < 5_000) received.push({ packet: Buffer.from(packet), peer: from });
        listener(packet, from);
      });
    },
    onError: (listener) => socket.onError(listener),
    unref: () => socket.unref(),
    close: () => socket.close(),
    inject: (packet, from) => deliver(Buffer.from(packet), from),
    cut: () => socket.close(),
  };
}
