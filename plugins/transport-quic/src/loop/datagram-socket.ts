import type { HostPort } from '../binding/quiche.ts';

/** Where packets come from and go to: a UDP socket, or a wire in memory under test. */
export interface DatagramSocket {
  /** Address it is bound to. Packets are told to quiche as having arrived there. */
  readonly local: HostPort;
  /** Sends one packet, or loses it. The bytes must not change until the next turn of the event loop and later: see {@link PacketSlab}. */
  send(packet: Uint8Array, to: HostPort): void;
  onPacket(listener: (packet: Buffer, from: HostPort) => void): void;
  /** Errors that tell something, as a port that refuses. The socket goes on. */
  onError(listener: (error: Error) => void): void;
  /** From here on the socket keeps the process alive no longer. */
  unref(): void;
  close(): void;
}
