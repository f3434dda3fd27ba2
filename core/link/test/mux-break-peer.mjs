// The peer of mux-break.test.ts: a process that echoes whatever streams it is sent, until it is killed.
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { createLink } from '@towline/link';

const [kind, ciphers] = process.argv.slice(2);
const echo = (socket) => {
  createLink(socket, { role: 'acceptor' }).onStream((stream) => stream.pipe(stream));
};
const server = kind === 'tls' ? tls.createServer({ pskCallback: () => Buffer.alloc(32, 7), ciphers }, echo) : net.createServer(echo);
await once(server.listen(0, '127.0.0.1'), 'listening');
process.send(server.address().port);
process.on('disconnect', () => process.exit());
