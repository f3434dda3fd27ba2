import type { RelayCertificate } from '@towline/contract';
import type { ErrorCode } from '@towline/protocol';
import { loadQuiche } from '../binding/load-quiche.ts';
import { createQuicServer } from '../loop/quic-server.ts';
import { openUdpSocket } from '../loop/udp-socket.ts';
import { createCarrier } from './carry-connection.ts';
import type { EdgeStart, EdgeUp } from './edge-messages.ts';

/** Connections the server holds beyond those that are let in: they are told that there is no room. */
const ROOM_FOR_REFUSALS = 1_000;

/** An edge that serves. */
export interface RunningEdge {
  readonly opened: Omit<EdgeUp, 'type'>;
  /** By name; counters end in `_total`. */
  readonly figures: Readonly<Record<string, number>>;
  /** Connections from here on get this certificate. @throws an Error when it cannot be used; the old one stays then. */
  renewCertificate(certificate: RelayCertificate): void;
  /** Takes leave of all connections and closes the port. */
  close(code: ErrorCode, message: string): Promise<void>;
}

/** Opens the port and carries each connection to the relay. @throws TowlineError `unavailable` without the port or the native part. */
export async function runEdge(settings: EdgeStart): Promise<RunningEdge> {
  const { quiche, source } = loadQuiche();
  const socket = await openUdpSocket({ bind: { host: settings.host, port: settings.port } });
  const carrier = createCarrier({ door: settings.door, limits: { maxConnections: settings.max_connections } });
  const server = createQuicServer({
    quiche,
    socket,
    certificate: { certPem: settings.certificate.cert_pem, keyPem: settings.certificate.key_pem },
    secret: Buffer.from(settings.secret, 'hex'),
    limits: { maxConnections: settings.max_connections + ROOM_FOR_REFUSALS },
    onConnection: (connection) => void carrier.carry(connection),
  });
  return {
    opened: {
      port: socket.local.port,
      receive_buffer_bytes: socket.bufferBytes.receive,
      send_buffer_bytes: socket.bufferBytes.send,
      source,
    },
    get figures() {
      return { ...server.figures, ...carrier.figures };
    },
    renewCertificate: (certificate) => server.renewCertificate(certificate),
    close: (code, message) => server.close(code, message),
  };
}
