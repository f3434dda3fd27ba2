import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { Link } from '@towline/contract';
import { acceptUpgrade, createLink } from '@towline/link';
import { isTowlineError } from '@towline/protocol';
import { loadQuiche } from '../../plugins/transport-quic/src/binding/load-quiche.ts';
import type { NativeConnection, Quiche } from '../../plugins/transport-quic/src/binding/quiche.ts';
import { acceptRequest } from '../../plugins/transport-quic/src/link/accept-request.ts';
import type { QuicConnection } from '../../plugins/transport-quic/src/loop/quic-connection.ts';
import { createQuicServer } from '../../plugins/transport-quic/src/loop/quic-server.ts';
import { openUdpSocket } from '../../plugins/transport-quic/src/loop/udp-socket.ts';
import { acceptWebSocket } from '../../plugins/transport-tls/src/websocket/accept-websocket.ts';

/** What a door shows: chain, leaf first, and key of the leaf, PEM. */
export interface Shown {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Something that makes links with whoever gets past its certificate, and notes all that it is sent. */
export interface Door extends AsyncDisposable {
  readonly port: number;
  /** Bytes so far that came inside encryption: requests, credentials, streams. */
  sentBytes(): number;
  /** Credentials so far, each time one was sent. */
  readonly credentials: readonly string[];
  /** Connections so far, those included whose handshake was broken off. */
  connections(): number;
  /** Resolves when every connection so far is over, so that nothing can still be on its way. */
  quiet(): Promise<void>;
}

/** OpenSSL would not even show short keys and old signatures otherwise. */
const SHOWS_ANYTHING = 'DEFAULT:@SECLEVEL=0';
const NEVER = new AbortController().signal;

/** Opens the TCP door of a relay: HTTPS that upgrades to links, bare and inside a WebSocket. Port 0 is a free one. */
export async function openTcpDoor({ certPem, keyPem }: Shown, host: string, port: number): Promise<Door> {
  const server = createServer({ cert: certPem, key: keyPem, ciphers: SHOWS_ANYTHING });
  const open = new Set<Duplex>();
  const encrypted: TLSSocket[] = [];
  const credentials: string[] = [];
  let connections = 0;
  server.on('connection', (socket) => {
    connections += 1;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    encrypted.push(socket);
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  server.on('upgrade', (request, socket, head) => {
    credentials.push(String(request.headers['x-api-key']));
    void upgrade(request, socket, head).catch(() => socket.destroy());
  });
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    credentials,
    // A TLSSocket counts what it has decrypted.
    sentBytes: () => encrypted.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    connections: () => connections,
    async quiet() {
      await Promise.all([...open].map((socket) => once(socket, 'close')));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Link> {
  const accept = request.headers.upgrade === 'websocket' ? acceptWebSocket : acceptUpgrade;
  return createLink(await accept(request, socket, head), { role: 'opener' });
}

/** Opens the UDP door of a relay: QUIC. Rejects with `EADDRINUSE` as cause when the port is taken. */
export async function openUdpDoor(certificate: Shown, host: string, port: number): Promise<Door> {
  const socket = await openUdpSocket({ bind: { host, port } });
  const credentials: string[] = [];
  const open = new Set<QuicConnection>();
  let sentBytes = 0;
  let connections = 0;
  const server = createQuicServer({
    quiche: tap({
      accepted: () => {
        connections += 1;
      },
      read: (bytes) => {
        sentBytes += bytes;
      },
    }),
    socket,
    certificate,
    secret: randomBytes(32),
    onConnection: async (connection) => {
      open.add(connection);
      void connection.closed.then(() => open.delete(connection));
      try {
        const request = await acceptRequest(connection, NEVER);
        credentials.push(request.credential.value);
        request.accept();
      } catch (error) {
        if (!isTowlineError(error)) throw error;
      }
    },
  });
  return {
    port: socket.local.port,
    credentials,
    sentBytes: () => sentBytes,
    connections: () => connections,
    async quiet() {
      await Promise.all([...open].map(({ closed }) => closed));
    },
    [Symbol.asyncDispose]: () => server.close('link_closed', 'The test is over.'),
  };
}

/** The binding with an ear on what streams bring, below everything of ours. */
function tap({ accepted, read }: { readonly accepted: () => void; readonly read: (bytes: number) => void }): Quiche {
  const { quiche } = loadQuiche();
  const accept: Quiche['Connection']['accept'] = (...parts) => {
    accepted();
    const native = quiche.Connection.accept(...parts);
    const streamRecv: NativeConnection['streamRecv'] = native.streamRecv.bind(native);
    native.streamRecv = (id, into) => {
      const result = streamRecv(id, into);
      read(result?.[0] ?? 0);
      return result;
    };
    return native;
  };
  return {
    Config: quiche.Config,
    Header: quiche.Header,
    Connection: { connect: (...parts) => quiche.Connection.connect(...parts), accept },
    versionIsSupported: (version) => quiche.versionIsSupported(version),
    negotiateVersion: (...parts) => quiche.negotiateVersion(...parts),
    retry: (...parts) => quiche.retry(...parts),
  };
}
