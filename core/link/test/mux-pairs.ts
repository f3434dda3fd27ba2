import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

/** Two connected ends of bytes. */
export type DuplexPair = readonly [Duplex, Duplex];

/** A key both ends know stands for certificates: how a relay is trusted has tests of its own. */
const PSK = Buffer.alloc(32, 7);
export const PSK_CIPHERS = 'PSK+AESGCM:TLS_AES_128_GCM_SHA256';
export const serverTls: tls.TlsOptions = { pskCallback: () => PSK, ciphers: PSK_CIPHERS };
export const clientTls: tls.ConnectionOptions = {
  pskCallback: () => ({ psk: PSK, identity: 'test' }),
  ciphers: PSK_CIPHERS,
  checkServerIdentity: () => undefined,
};

/** A TCP connection over loopback. */
export async function connectNet(): Promise<readonly [net.Socket, net.Socket]> {
  const server = net.createServer();
  return connectTo(server, 'connection', (port) => net.connect(port, '127.0.0.1'));
}

/** A TLS 1.3 connection over loopback. */
export async function connectTls(): Promise<readonly [net.Socket, net.Socket]> {
  const server = tls.createServer(serverTls);
  return connectTo(server, 'secureConnection', (port) => tls.connect({ ...clientTls, port, host: '127.0.0.1' }));
}

/** Two duplexes in memory that hand each other one chunk at a time. */
export function connectMemory(): DuplexPair {
  const ends: MemoryEnd[] = [new MemoryEnd(), new MemoryEnd()];
  ends[0]!.peer = ends[1]!;
  ends[1]!.peer = ends[0]!;
  return [ends[0]!, ends[1]!];
}

async function connectTo(
  server: net.Server,
  event: string,
  connect: (port: number) => net.Socket,
): Promise<readonly [net.Socket, net.Socket]> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port);
  const [far] = (await once(server, event)) as [net.Socket];
  server.close();
  return [near, far];
}

class MemoryEnd extends Duplex {
  peer!: MemoryEnd;
  #waiting: (() => void) | null = null;

  override _read(): void {
    const go = this.#waiting;
    this.#waiting = null;
    go?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.peer.push(chunk)) setImmediate(done);
    else this.peer.#waiting = done;
  }

  override _final(done: () => void): void {
    this.peer.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.peer.push(null);
    done(error);
  }
}
