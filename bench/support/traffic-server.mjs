// Servers that a forward leads to, in a process of their own: an echo, a source that sends as many bytes as it is asked for, and a sink that
// says how many it took. Tells its ports by a message, and ends with its parent.
import { createServer } from 'node:net';

const PIECE = Buffer.alloc(65_536, 1);

const listen = (onConnection) =>
  new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => {});
      onConnection(socket);
    });
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1_024 }, () => resolve(server.address().port));
  });

const ports = {
  echo: await listen((socket) => void socket.pipe(socket)),
  source: await listen((socket) => socket.once('data', (asked) => send(socket, Number(asked)))),
  sink: await listen((socket) => {
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.on('end', () => socket.end(String(bytes)));
  }),
};
process.send(ports);
process.on('disconnect', () => process.exit());

function send(socket, bytes) {
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const part = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= part.length;
      if (!socket.write(part)) return;
    }
    socket.off('drain', more).end();
  };
  socket.on('drain', more);
  more();
}
