import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { ConnectionError, HostPort, NativeConfig, NativeConnection } from '../src/binding/quiche.ts';
import { clientConfig } from '../src/loop/quic-config.ts';
import { encodeStreamHead } from '../src/loop/stream-head.ts';
import { quiche, until, within } from './support-quic.ts';

/** A client that is nothing but the binding and a socket, so that it can do what no client of ours does. */
export interface RawPeer {
  readonly native: NativeConnection;
  readonly local: HostPort;
  /** Packets that came, as they were on the wire. */
  readonly received: Buffer[];
  /** Sends what the binding has to send. */
  flush(): void;
  /** Writes all of it, as credit and room allow. */
  write(id: number, bytes: Uint8Array, fin?: boolean): Promise<void>;
  /** Reads the next bytes of a stream. */
  read(id: number): Promise<Buffer>;
  /** How the other end closed the connection. */
  closedByPeer(): Promise<ConnectionError>;
  /** Sends any bytes from the same address. */
  sendRaw(packet: Uint8Array): void;
  close(): void;
}

/** What is different from an honest client. */
export interface RawOptions {
  /** Changes the settings before the handshake. */
  readonly tune?: (config: NativeConfig) => void;
  /** Address to send from. */
  readonly host?: string;
  /** Does not wait for the handshake. */
  readonly unfinished?: boolean;
}

/** Dials a server. */
export async function dialRaw(server: HostPort, { tune, host = '127.0.0.1', unfinished = false }: RawOptions = {}): Promise<RawPeer> {
  const socket = createSocket('udp4');
  await new Promise<void>((bound) => socket.bind(0, host, bound));
  const local = { host, port: socket.address().port };
  const config = clientConfig(quiche, null, {});
  tune?.(config);
  const native = quiche.Connection.connect('localhost', randomBytes(20), local, server, config);
  const received: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const flush = () => {
    for (let packets = 0; !closed && packets < 1_000; packets += 1) {
      const out = Buffer.alloc(1_350);
      const sent = send(native, out);
      if (!sent) break;
      socket.send(out.subarray(0, sent), server.port, server.host);
    }
    arm();
  };
  const arm = () => {
    clearTimeout(timer);
    const ms = native.timeout();
    if (closed || ms === null) return;
    timer = setTimeout(
      () => {
        native.onTimeout();
        flush();
      },
      Math.max(1, ms),
    );
  };
  socket.on('message', (packet, from) => {
    received.push(Buffer.from(packet));
    try {
      native.recv(packet, { from: { host: from.address, port: from.port }, to: local });
    } catch {
      // A packet that is refused is lost.
    }
    setImmediate(flush);
  });
  flush();
  const peer: RawPeer = {
    native,
    local,
    received,
    flush,
    async write(id, bytes, fin = false) {
      let left = bytes;
      const begun = performance.now();
      do {
        const taken = native.streamSend(id, left, fin) ?? 0;
        left = left.subarray(Math.max(0, taken));
        flush();
        if (left.length > 0) await new Promise((again) => setTimeout(again, 1));
        if (performance.now() - begun > 15_000) throw new Error('the peer gives no credit');
      } while (left.length > 0);
    },
    async read(id) {
      const into = Buffer.alloc(65_536);
      let got: [number, boolean] | null = null;
      await until(() => (got = receive(native, id, into)) !== null, `bytes on stream ${id}`);
      return Buffer.from(into.subarray(0, got![0]));
    },
    async closedByPeer() {
      await until(() => native.peerError() !== null, 'the connection is closed by the peer');
      return native.peerError()!;
    },
    sendRaw: (packet) => socket.send(packet, server.port, server.host),
    close() {
      if (closed) return;
      try {
        native.close(true, 0, Buffer.alloc(0));
      } catch {
        // Over already.
      }
      flush();
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
  if (!unfinished)
    await within(
      until(() => native.isEstablished(), 'the handshake'),
      'the handshake',
    );
  return peer;
}

/** What a stream begins with. */
export const headed = (head: string | Uint8Array): Buffer => encodeStreamHead(Buffer.from(head));

/** The head of a connection's first stream. */
export const request = (change: Readonly<Record<string, unknown>> = {}): Buffer =>
  headed(JSON.stringify({ role: 'client', credential: { header: 'X-API-Key', value: 'twl_test' }, ...change }));

function send(native: NativeConnection, out: Buffer): number | null {
  try {
    return native.send(out)?.[0] ?? null;
  } catch {
    return null;
  }
}

function receive(native: NativeConnection, id: number, into: Buffer): [number, boolean] | null {
  try {
    return native.streamRecv(id, into);
  } catch {
    return null;
  }
}
