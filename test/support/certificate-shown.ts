import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { loadQuiche } from '../../plugins/transport-quic/src/binding/load-quiche.ts';
import { connectQuic } from '../../plugins/transport-quic/src/loop/quic-client.ts';
import { clientConfig } from '../../plugins/transport-quic/src/loop/quic-config.ts';
import { openUdpSocket } from '../../plugins/transport-quic/src/loop/udp-socket.ts';

const HOST = '127.0.0.1';

/** The leaf that a new connection to this TCP port of loopback is shown, whoever signed it. */
export async function shownOverTls(port: number): Promise<X509Certificate> {
  const socket = connect({ host: HOST, port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const leaf = socket.getPeerX509Certificate()!;
  socket.destroy();
  return leaf;
}

/** The same for a UDP port. Rejects when there is no handshake. */
export async function shownOverQuic(port: number): Promise<X509Certificate> {
  const { quiche } = loadQuiche();
  const peer = { host: HOST, port };
  const { connection } = await connectQuic({
    quiche,
    config: clientConfig(quiche, null, {}),
    serverName: null,
    peer,
    openSocket: () => openUdpSocket({ connect: peer }),
    secret: randomBytes(32),
  });
  const end = await Promise.race([connection.established, connection.closed]);
  if (end !== undefined) throw new Error(`no handshake: ${JSON.stringify(end)}`);
  const [leaf] = connection.native.peerCertChain()!;
  connection.close(0, 'only a look');
  return new X509Certificate(Buffer.from(leaf!));
}
