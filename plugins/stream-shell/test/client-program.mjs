// The CLI half of shell as a program of its own, on whatever terminal it was started on.
// Arguments: path of the socket where the device listens, id of the session.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createClientSession } from '@towline/protocol';
import { command } from '@towline/stream-shell/cli';

const [path, id] = process.argv.slice(2);
const aborting = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => aborting.abort());
process.once('SIGUSR2', () => {
  throw new Error('a fault of the program');
});
const host = {
  async openSession(_protocol, body) {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    const text = Buffer.from(JSON.stringify(body));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    socket.write(Buffer.concat([length, text]));
    return { session: createClientSession(socket, id), answer: {}, device: { id, name: 'pi\u001b[2J', fingerprint: 'sha256:00ff' } };
  },
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  json: false,
  signal: aborting.signal,
};
try {
  process.exitCode = await command.run({ device: 'pi', args: [], options: {} }, host);
} catch (error) {
  process.stderr.write(`${error.message} ${error.hint}\n`);
  process.exitCode = 2;
}
