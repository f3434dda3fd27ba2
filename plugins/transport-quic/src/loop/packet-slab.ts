/** Packets that fit into one slab. */
const PACKETS_PER_SLAB = 64;

/**
 * Memory for packets on their way out. dgram keeps a packet's buffer until the system has taken it, so no part is
 * ever written twice: when a slab is used up the next one is taken, and the collector frees the old one. One slab is
 * shared by all connections of a socket, so that an idle connection holds none.
 */
export class PacketSlab {
  readonly packetBytes: number;
  #slab = Buffer.alloc(0);
  #used = 0;

  constructor(packetBytes: number) {
    this.packetBytes = packetBytes;
  }

  /** Room for one packet. It is given again until {@link take} takes of it. */
  room(): Buffer {
    if (this.#used + this.packetBytes > this.#slab.length) {
      this.#slab = Buffer.allocUnsafeSlow(this.packetBytes * PACKETS_PER_SLAB);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used, this.#used + this.packetBytes);
  }

  /** Takes the first `bytes` of the room for good. */
  take(bytes: number): Buffer {
    const packet = this.#slab.subarray(this.#used, this.#used + bytes);
    this.#used += bytes;
    return packet;
  }
}
