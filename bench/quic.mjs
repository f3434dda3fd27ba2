// One hop over loopback, two processes, one stream: QUIC by our loop, QUIC by the library's own JavaScript layer, and
// the link protocol over TLS. All QUIC packets have 1,350 bytes. Read the ratios, not the figures:
//   node bench/quic.mjs [megabytes]
import { execFileSync, fork } from 'node:child_process';
import { randomBytes, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';

const MEGABYTE = 1e6;
const ROUND_TRIPS = 2_000;
const ROUNDS = 3;
const PACKET_BYTES = 1_350;
/** The stock library is so slow that it is measured over a part of the bytes. */
const STOCK_PART = 0.05;
const chunk = Buffer.alloc(65_536, 1);

const loop = (path) => import(new URL(`../plugins/transport-quic/dist/${path}`, import.meta.url));

/** Each way: `serve(onStream)` answers its port, `dial(port)` a function that opens a stream as a Duplex. */
const ways = {
  'our loop': {
    async serve(folder, onStream) {
      const [{ loadQuiche }, { createQuicServer }, { openUdpSocket }, { acceptRequest }] = await Promise.all(
        ['binding/load-quiche.js', 'loop/quic-server.js', 'loop/udp-socket.js', 'link/accept-request.js'].map(loop),
      );
      const socket = await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } });
      const onConnection = async (connection) => {
        const request = await acceptRequest(connection, AbortSignal.timeout(5_000));
        request.accept().onStream(onStream);
      };
      createQuicServer({ quiche: loadQuiche().quiche, socket, certificate: pemOf(folder), secret: randomBytes(32), onConnection });
      return socket.local.port;
    },
    async dial(port) {
      const { createQuicDial } = await loop('dial.js');
      const dial = createQuicDial({ environment: {}, warn() {} });
      const link = await dial.dial({
        relay: new URL(`https://127.0.0.1:${port}`),
        role: 'client',
        credential: { header: 'X-API-Key', value: 'bench' },
        trust: { trustInvalid: true },
        signal: AbortSignal.timeout(5_000),
      });
      return () => link.openStream(Buffer.from('/bench/1'));
    },
  },
  'link over TLS': {
    async serve(folder, onStream) {
      const { createLink } = await import('../core/link/dist/index.js');
      const { certPem, keyPem } = pemOf(folder);
      const server = tls.createServer({ cert: certPem, key: keyPem }, (socket) =>
        createLink(socket, { role: 'acceptor' }).onStream(onStream),
      );
      await once(server.listen(0, '127.0.0.1'), 'listening');
      return server.address().port;
    },
    async dial(port) {
      const { createLink } = await import('../core/link/dist/index.js');
      const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const link = createLink(socket, { role: 'opener' });
      return () => link.openStream(Buffer.from('/bench/1'));
    },
  },
  'stock library': {
    part: STOCK_PART,
    async serve(folder, onStream) {
      const { QUICServer, events } = await import('@matrixai/quic');
      const { Duplex } = await import('node:stream');
      const algorithm = { name: 'HMAC', hash: 'SHA-256' };
      const key = await webcrypto.subtle.exportKey('raw', await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']));
      const hmac = (raw) => webcrypto.subtle.importKey('raw', raw, algorithm, false, ['sign', 'verify']);
      const ops = {
        sign: async (raw, data) => webcrypto.subtle.sign('HMAC', await hmac(raw), data),
        verify: async (raw, data, signature) => webcrypto.subtle.verify('HMAC', await hmac(raw), signature, data),
      };
      const { certPem, keyPem } = pemOf(folder);
      const server = new QUICServer({
        crypto: { key, ops },
        logger: await silence(),
        config: { ...stockConfig, key: keyPem, cert: certPem, verifyPeer: false },
      });
      server.addEventListener(events.EventQUICServerConnection.name, ({ detail: connection }) =>
        connection.addEventListener(events.EventQUICConnectionStream.name, ({ detail: stream }) => onStream(Duplex.fromWeb(stream))),
      );
      await server.start({ host: '127.0.0.1', port: 0 });
      return server.port;
    },
    async dial(port) {
      const { QUICClient } = await import('@matrixai/quic');
      const { Duplex } = await import('node:stream');
      const ops = { randomBytes: async (data) => void webcrypto.getRandomValues(new Uint8Array(data)) };
      const client = await QUICClient.createQUICClient({
        host: '127.0.0.1',
        port,
        serverName: 'localhost',
        logger: await silence(),
        crypto: { ops },
        config: { ...stockConfig, verifyPeer: false, keepAliveIntervalTime: 10_000 },
      });
      return () => Duplex.fromWeb(client.connection.newStream());
    },
  },
};
const stockConfig = {
  maxIdleTimeout: 30_000,
  applicationProtos: ['bench'],
  readableChunkSize: 65_536,
  maxRecvUdpPayloadSize: 65_527,
  maxSendUdpPayloadSize: PACKET_BYTES,
  enableEarlyData: false,
};

async function silence() {
  const { default: Logger, LogLevel } = await import('@matrixai/logger');
  return new Logger('bench', LogLevel.SILENT, []);
}

function pemOf(folder) {
  return { certPem: readFileSync(join(folder, 'cert.pem'), 'utf8'), keyPem: readFileSync(join(folder, 'key.pem'), 'utf8') };
}

/** The server's side of a stream: the first byte says what is wanted. */
function serveStream(stream) {
  stream.on('error', () => {});
  stream.once('data', (first) => {
    const order = first.toString('latin1', 0, 1);
    const rest = first.subarray(1);
    if (order === 'e') {
      if (rest.length > 0) stream.write(rest);
      stream.pipe(stream);
    } else if (order === 't') stream.resume().once('end', () => stream.end('taken'));
    else pour(stream, Number(rest.toString('latin1')));
  });
}

function pour(stream, bytes) {
  let left = bytes;
  const more = () => {
    while (left > 0 && !stream.destroyed) {
      left -= chunk.length;
      if (!stream.write(chunk)) return stream.once('drain', more);
    }
    stream.end();
  };
  more();
}

async function runServer(folder) {
  const ports = {};
  for (const [name, way] of Object.entries(ways)) ports[name] = await way.serve(folder, serveStream);
  process.send(ports);
}

async function measure(open, bytes) {
  const echo = open();
  echo.on('error', () => {});
  echo.write('ex');
  await once(echo, 'data');
  const times = [];
  for (let n = 0; n < ROUND_TRIPS; n += 1) {
    const since = performance.now();
    echo.write('x');
    await once(echo, 'data');
    times.push(performance.now() - since);
  }
  echo.destroy();
  const up = await throughput(bytes, () => {
    const stream = open();
    stream.write('t');
    pour(stream, bytes);
    return stream;
  });
  const down = await throughput(bytes, () => {
    const stream = open();
    stream.write(`g${bytes}`);
    return stream;
  });
  return { up, down, roundTrip: times.sort((a, b) => a - b)[ROUND_TRIPS >> 1] };
}

async function throughput(bytes, start) {
  const since = performance.now();
  const stream = start();
  stream.on('error', () => {});
  await once(stream.resume(), 'end');
  return bytes / MEGABYTE / ((performance.now() - since) / 1e3);
}

async function runClient(megabytes, ports) {
  const openers = {};
  for (const [name, way] of Object.entries(ways)) openers[name] = await way.dial(JSON.parse(ports)[name]);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, { part = 1 }] of Object.entries(ways))
      process.send({ name, ...(await measure(openers[name], megabytes * MEGABYTE * part)) });
  }
}

async function runBench(megabytes = '100') {
  const folder = mkdtempSync(join(tmpdir(), 'towline-bench-'));
  const children = [];
  try {
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        join(folder, 'key.pem'),
        '-out',
        join(folder, 'cert.pem'),
        '-days',
        '1',
        '-subj',
        '/CN=localhost',
      ],
      { stdio: 'ignore' },
    );
    const child = (...args) => {
      const made = fork(process.argv[1], args);
      children.push(made);
      return made;
    };
    const server = child('server', folder);
    const [ports] = await once(server, 'message');
    const client = child('client', megabytes, JSON.stringify(ports));
    const results = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
    client.on('message', ({ name, ...figures }) => results[name].push(figures));
    await once(client, 'exit');
    printTable(results);
  } finally {
    for (const each of children) each.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

function printTable(results) {
  const median = (rows, key) => rows.map((row) => row[key]).sort((a, b) => a - b)[rows.length >> 1];
  const ours = results['our loop'];
  const names = ['our loop', 'stock library', 'link over TLS'];
  console.log(`| one hop, one stream | ${names.join(' | ')} | ours / stock | ours / TLS |`);
  console.log(`|---|${'---|'.repeat(names.length + 2)}`);
  for (const [what, key, digits] of [
    ['towards the server, MB/s', 'up', 1],
    ['from the server, MB/s', 'down', 1],
    ['1-byte round trip p50, ms', 'roundTrip', 3],
  ]) {
    const cells = names.map((name) => median(results[name], key).toFixed(digits));
    const ratio = (name) => (median(ours, key) / median(results[name], key)).toFixed(2);
    console.log(`| ${what} | ${cells.join(' | ')} | ${ratio('stock library')} | ${ratio('link over TLS')} |`);
  }
}

const [role, ...args] = ['server', 'client'].includes(process.argv[2]) ? process.argv.slice(2) : ['bench', ...process.argv.slice(2)];
await { server: runServer, client: runClient, bench: runBench }[role](...args);
if (role === 'client') process.exit(0);
