// A way to a port of loopback, as a program of its own: `node way-process.mjs PORT`. It tells its port when it is ready; by messages it drops all
// its connections, or says how many bytes passed, and ends with its parent.
import { connect, createServer } from 'node:net';

const sockets = new Set();
const passed = { up: 0, down: 0 };

const pass = (from, to, direction) => {
  from.on('data', (bytes) => {
    passed[direction] += bytes.length;
    if (!to.write(bytes)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('error', () => to.destroy()).on('end', () => to.end());
  from.once('close', () => sockets.delete(from));
  sockets.add(from);
};
const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ host: '127.0.0.1', port: Number(process.argv[2]), noDelay: true });
  pass(near, far, 'up');
  pass(far, near, 'down');
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('message', (order) => {
  if (order === 'cut') for (const socket of sockets) socket.destroy();
  process.send({ ...passed });
});
process.on('disconnect', () => process.exit());
