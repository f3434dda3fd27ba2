// One transfer over a path of 100 Mbit/s, 100 ms round trip and 1 % loss: a device on QUIC behind the userspace proxy of
// test/support/udp-impairment, sending to a user and receiving. How much of the path is used, by congestion control.
//   node bench/lossy.mjs [megabytes] [loss per cent]
import { once } from 'node:events';
import net from 'node:net';
import { cpus } from 'node:os';
import { median, startSystem, throughput } from './support/towline.mjs';
import { startUdpImpairment } from './support/udp-impairment.mjs';

const PATH_BITS = 100e6;
const ROUNDS = 3;
const megabytes = Number(process.argv[2] ?? 40);
const loss = Number(process.argv[3] ?? 1) / 100;
const way = { loss, delayMs: 50, rate: { bitsPerSecond: PATH_BITS, queueBytes: 1_250_000 } };

const system = await startSystem();
let proxy;
let tcp;
try {
  const port = Number(new URL(system.url).port);
  proxy = await startUdpImpairment({ seed: 7, target: { host: '127.0.0.1', port }, up: way, down: way });
  // Enrolment goes over HTTPS, on the same port number as UDP.
  tcp = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    near
      .on('error', () => far.destroy())
      .pipe(far.on('error', () => near.destroy()))
      .pipe(near);
  });
  await once(tcp.listen(proxy.local.port, '127.0.0.1'), 'listening');
  await system.startDevice('far', 'quic', `https://127.0.0.1:${proxy.local.port}`);
  const bytes = megabytes * 1e6;
  const down = [];
  const up = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    down.push(await throughput(system, ['far', 'exec', '--', 'head', '-c', String(bytes), '/dev/zero'], bytes));
    up.push(await upload(bytes));
  }
  const { process: proxyProcess, ...statistics } = await proxy.statistics();
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}; ${megabytes} MB, ${loss * 100} % loss, 100 ms`);
  const part = (mbPerSecond) => `${(((mbPerSecond * 8e6) / PATH_BITS) * 100).toFixed(0)} %`;
  console.log('| over QUIC | Mbit/s | of the path |');
  console.log('|---|---|---|');
  console.log(`| from the device | ${(median(down) * 8).toFixed(1)} | ${part(median(down))} |`);
  console.log(`| to the device | ${(median(up) * 8).toFixed(1)} | ${part(median(up))} |`);
  console.log(JSON.stringify({ statistics, proxyProcess }));
} finally {
  tcp?.close();
  await proxy?.close();
  system.end();
}
process.exit(0);

async function upload(bytes) {
  const child = system.begin('towline', ['far', 'exec', '-i', '--', 'sh', '-c', 'echo; cat >/dev/null; echo done'], system.user);
  child.stdout.resume();
  await once(child.stdout, 'data');
  const since = performance.now();
  const chunk = Buffer.alloc(65_536);
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!child.stdin.write(chunk.subarray(0, Math.min(left, chunk.length)))) await once(child.stdin, 'drain');
  }
  child.stdin.end();
  await once(child, 'exit');
  return bytes / 1e3 / (performance.now() - since);
}
