import type { Duplex } from 'node:stream';
import { FrameDecoder } from '@towline/protocol';

/** A frame as a test wants to see it. */
export type SeenFrame = readonly [type: string, stream: number, value: string | number];

/** The other end of a link, spoken by hand: sends any bytes and keeps the frames it gets. */
export class RawPeer {
  readonly frames: SeenFrame[] = [];
  readonly #socket: Duplex;
  readonly #watchers = new Set<() => void>();
  #over = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    const seen = (...frame: SeenFrame) => void this.frames.push(frame);
    const decoder = new FrameDecoder({
      onOpen: (stream, head) => seen('open', stream, head.toString()),
      onData: (stream, bytes) => seen('data', stream, bytes.length),
      onFin: (stream) => seen('fin', stream, 0),
      onReset: (stream, wire) => seen('reset', stream, wire),
      onCredit: (stream, bytes) => seen('credit', stream, bytes),
      onPing: (opaque) => seen('ping', 0, opaque.toString('hex')),
      onPong: (opaque) => seen('pong', 0, opaque.toString('hex')),
      onClose: (wire, text) => seen('close', wire, text),
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#over = true;
      this.#look();
    });
    socket.on('data', (bytes: Buffer) => {
      decoder.push(bytes);
      this.#look();
    });
  }

  send(...frames: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(frames));
  }

  /** The first frame of this type, now or later; fails when the wire ends without one. */
  async seen(type: string, matches: (frame: SeenFrame) => boolean = () => true): Promise<SeenFrame> {
    for (;;) {
      const found = this.frames.find((frame) => frame[0] === type && matches(frame));
      if (found) return found;
      if (this.#over) throw new Error(`no ${type} frame came; there were: ${JSON.stringify(this.frames)}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  #look(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}
