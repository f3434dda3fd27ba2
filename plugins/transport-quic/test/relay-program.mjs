// A process that opens the relay's QUIC listener and tells how it is: `node relay-program.mjs DATA_FOLDER PORT`.
import { listenQuic } from '../dist/relay/listen-quic.js';

const [dataDir, port] = process.argv.slice(2);
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const certificate = JSON.parse(process.env.TEST_CERTIFICATE);
const listener = await listenQuic(
  { host: '127.0.0.1', port: Number(port), certificate, accept: quiet },
  { dataDir, maxConnections: 100, log },
);
process.send(listener.state);
