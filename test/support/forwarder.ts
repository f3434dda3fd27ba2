import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Another way to a server: connections to `port` come out from another loopback address. */
export interface Forwarder extends AsyncDisposable {
  readonly port: number;
  /** Resolves when so many more bytes have come, both ways together; from then on nothing passes until {@link cut}. */
  holdAfter(bytes: number): Promise<void>;
  /** Breaks all connections; new ones are forwarded again. */
  cut(): void;
}

/** Forwards TCP connections to a port of loopback; the server sees them come from `from`. */
export async function forwardFrom(from: string, port: number): Promise<Forwarder> {
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  let held: () => void = () => {};
  const pass = (from: Socket, to: Socket) =>
    from.on('data', (bytes: Buffer) => {
      left -= bytes.length;
      if (left <= 0) return hold();
      if (!to.write(bytes)) from.pause();
    });
  const hold = () => {
    for (const socket of sockets) socket.pause();
    held();
  };
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port, localAddress: from });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    }
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      pass(one, other);
      one.on('error', () => other.destroy()).on('end', () => other.end());
      other.on('drain', () => left > 0 && one.resume());
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    holdAfter: (bytes) =>
      new Promise((resolve) => {
        left = bytes;
        held = resolve;
      }),
    cut: () => {
      left = Number.POSITIVE_INFINITY;
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
