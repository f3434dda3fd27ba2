// What the UDP impairment proxy can carry on this machine, and what it costs:
//   node bench/support/measure-udp-impairment.mjs [seconds] [packets a second ...]
// A sender, the proxy and a receiver, each a process, packets of 1,350 bytes one way; first at given rates with 100 ms delay, then as fast as it goes.
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { startUdpImpairment } from './udp-impairment.mjs';

const PACKET_BYTES = 1_350;
const UNLIMITED = 1e9;
/** A sender looks at the clock so often and sends what has become due since. */
const TICK_MS = 2;

async function receive() {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 2 ** 20 });
  let packets = 0;
  socket.on('message', () => (packets += 1));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  process.send(socket.address().port);
  process.on('message', () => process.send(packets));
}

async function send([port, perSecond, seconds]) {
  const socket = createSocket({ type: 'udp4', sendBufferSize: 4 * 2 ** 20 });
  socket.connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  const packet = Buffer.alloc(PACKET_BYTES, 1);
  const began = performance.now();
  let sent = 0;
  for (;;) {
    const passedMs = performance.now() - began;
    if (passedMs > seconds * 1_000) break;
    const due = Math.min((passedMs * perSecond) / 1_000, sent + 200);
    for (; sent < due; sent += 1) socket.send(packet);
    await new Promise((later) => (perSecond < UNLIMITED ? setTimeout(later, TICK_MS) : setImmediate(later)));
  }
  socket.close();
  process.send(sent);
}

async function measure(perSecond, seconds, profile) {
  const receiver = fork(import.meta.filename, ['receive']);
  const [target] = await once(receiver, 'message');
  const proxy = await startUdpImpairment({ seed: 1, target: { host: '127.0.0.1', port: target }, up: profile, down: profile });
  try {
    const before = await proxy.statistics();
    const sender = fork(import.meta.filename, ['send', proxy.local.port, perSecond, seconds]);
    const [sent] = await once(sender, 'message');
    await new Promise((later) => setTimeout(later, 500));
    const after = await proxy.statistics();
    const received = once(receiver, 'message');
    receiver.send('how many');
    return describe({ before, after, sent, received: (await received)[0], seconds });
  } finally {
    await proxy.close();
    receiver.kill();
  }
}

function describe({ before, after, sent, received, seconds }) {
  const cpuMs = after.process.cpuMs - before.process.cpuMs;
  return {
    'sent a second': Math.round(sent / seconds),
    'carried a second': Math.round(after.up.delivered / seconds),
    'received a second': Math.round(received / seconds),
    'lost unseen': after.up.kernelDropped,
    'cores used': (cpuMs / seconds / 1_000).toFixed(2),
    'us a packet': ((cpuMs * 1_000) / after.up.delivered).toFixed(1),
    'late ms (mean)': after.lateness.meanMs.toFixed(2),
    'late ms (max)': after.lateness.maxMs.toFixed(1),
    'resident MB': Math.round(after.process.residentBytes / 1e6),
  };
}

const [role, ...words] = process.argv.slice(2);
if (role === 'receive') await receive();
else if (role === 'send') await send(words.map(Number));
else {
  const seconds = Number(role ?? 5);
  const rates = words.length > 0 ? words.map(Number) : [10_000, 20_000, 40_000];
  const table = [];
  for (const rate of rates) table.push(await measure(rate, seconds, { delayMs: 100, loss: 0.01 }));
  table.push(await measure(UNLIMITED, seconds, {}));
  console.table(table);
}
