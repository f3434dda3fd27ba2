// The CLI half of exec as a program of its own, for what only a real process has: signals, closed pipes, terminals.
// Arguments: path of the socket where the device listens, id of the session, options as JSON, words of the command.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createClientSession } from '@towline/protocol';
import { command } from '@towline/stream-exec/cli';

const [path, id, options, ...args] = process.argv.slice(2);
const aborting = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => aborting.abort());
process.stdout.on('error', () => aborting.abort());
const host = {
  async openSession(_protocol, body) {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    const text = Buffer.from(JSON.stringify(body));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    socket.write(Buffer.concat([length, text]));
    return { session: createClientSession(socket, id), answer: {}, device: { id, name: 'pi', fingerprint: 'sha256:00' } };
  },
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  json: false,
  signal: aborting.signal,
};
process.exitCode = await command.run({ device: 'pi', args, options: JSON.parse(options) }, host);
