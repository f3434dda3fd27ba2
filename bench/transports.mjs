// A device on QUIC against the same on TLS, through a real relay: throughput and round trip of exec, memory of idle
// links, and what 500 handshakes a second of strangers do to honest links. Read the ratios: node bench/transports.mjs [MB]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { echoes, median, percentile, residentKiB, startSystem, throughput } from './support/towline.mjs';

const ROUNDS = 3;
const ECHOES = 1_000;
/** Fewer than one user may have. */
const IDLE_LINKS = 900;
const HANDSHAKES_PER_SECOND = 500;
const HANDSHAKE_SECONDS = 20;
const megabytes = Number(process.argv[2] ?? 200);
const rows = [];

if (process.argv[2] === 'links' || process.argv[2] === 'handshakes') await runChild(process.argv[2], JSON.parse(process.argv[3]));
else await runBench();

async function runBench() {
  const system = await startSystem();
  try {
    for (const transport of ['tls', 'quic']) await system.startDevice(`on-${transport}`, transport);
    await measureTransfers(system);
    await measureIdle(system);
    await measureHandshakes(system);
    console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}`);
    for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  } finally {
    system.end();
  }
}

async function measureTransfers(system) {
  const bytes = megabytes * 1e6;
  const down = { tls: [], quic: [] };
  const up = { tls: [], quic: [] };
  const trips = { tls: [], quic: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const transport of ['tls', 'quic']) {
      const device = `on-${transport}`;
      down[transport].push(await throughput(system, [device, 'exec', '--', 'head', '-c', String(bytes), '/dev/zero'], bytes));
      up[transport].push(await upload(system, device, bytes));
      trips[transport].push(percentile(await echoes(system, device, ECHOES), 0.5));
    }
  }
  rows.push(['through the relay', 'TLS', 'QUIC', 'ratio'], ['---', '---', '---', '---']);
  for (const [what, of, digits] of [
    ['exec, from the device, MB/s', down, 1],
    ['exec -i, to the device, MB/s', up, 1],
    ['echo round trip p50, ms', trips, 2],
  ]) {
    const [tls, quic] = [median(of.tls), median(of.quic)];
    rows.push([what, tls.toFixed(digits), quic.toFixed(digits), (quic / tls).toFixed(2)]);
  }
}

async function upload(system, device, bytes) {
  const child = system.begin('towline', [device, 'exec', '-i', '--', 'sh', '-c', 'echo; cat >/dev/null; echo done'], system.user);
  child.stdout.resume();
  await once(child.stdout, 'data');
  const since = performance.now();
  const chunk = Buffer.alloc(65_536);
  for (let left = bytes; left > 0; left -= chunk.length) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
  child.stdin.end();
  await once(child, 'exit');
  return bytes / 1e3 / (performance.now() - since);
}

async function measureIdle(system) {
  const figures = {};
  for (const transport of ['tls', 'quic']) {
    const memory = () => ({ relay: residentKiB(system.relay.pid), edge: residentKiB(system.edgePid()) });
    const before = memory();
    const child = fork(process.argv[1], ['links', JSON.stringify({ ...dialling(system), transport, count: IDLE_LINKS })]);
    await once(child, 'message');
    await new Promise((later) => setTimeout(later, 2_000));
    const after = memory();
    figures[transport] = (after.relay - before.relay + (after.edge - before.edge)) / IDLE_LINKS;
    child.kill('SIGKILL');
    await once(child, 'exit');
    await new Promise((later) => setTimeout(later, 3_000));
  }
  rows.push([
    `idle link, relay and edge, KiB resident (${IDLE_LINKS} links)`,
    figures.tls.toFixed(0),
    figures.quic.toFixed(0),
    (figures.quic / figures.tls).toFixed(2),
  ]);
}

async function measureHandshakes(system) {
  const quiet = await echoes(system, 'on-quic', 200);
  const before = residentKiB(system.edgePid());
  const child = fork(process.argv[1], ['handshakes', JSON.stringify(dialling(system))]);
  const told = once(child, 'message');
  const times = [];
  const until = performance.now() + HANDSHAKE_SECONDS * 1_000;
  while (performance.now() < until - 2_000) times.push(...(await echoes(system, 'on-quic', 200)));
  const [made] = await told;
  const during = residentKiB(system.edgePid());
  await once(child, 'exit');
  await new Promise((later) => setTimeout(later, 10_000));
  const after = residentKiB(system.edgePid());
  times.sort((a, b) => a - b);
  rows.push(['', '', '', '']);
  rows.push([`handshakes of strangers a second, ${HANDSHAKE_SECONDS} s`, 'asked', 'done', '']);
  rows.push(['', String(HANDSHAKES_PER_SECOND), (made / HANDSHAKE_SECONDS).toFixed(0), '']);
  rows.push([
    'echo of an honest link over QUIC, ms',
    `quiet p50 ${percentile(quiet, 0.5).toFixed(2)}`,
    `meanwhile p50 ${percentile(times, 0.5).toFixed(2)}`,
    `p99 ${percentile(times, 0.99).toFixed(1)}`,
  ]);
  rows.push([
    'memory of the edge, MiB',
    `before ${(before / 1024).toFixed(0)}`,
    `during ${(during / 1024).toFixed(0)}`,
    `10 s after ${(after / 1024).toFixed(0)}`,
  ]);
}

function dialling({ url, fingerprint, adminKey }) {
  return { url, fingerprint, adminKey };
}

// Children: many links, or many handshakes, in a process of their own.

async function runChild(what, { url, adminKey, transport, count }) {
  const { createQuicDial, probeQuic } = await import('../plugins/transport-quic/dist/dial.js');
  const { createTlsDial } = await import('../plugins/transport-tls/dist/dial.js');
  const host = { environment: {}, warn() {} };
  const relay = new URL(url);
  const trust = { trustInvalid: true };
  if (what === 'links') {
    const { dial } = (transport === 'quic' ? createQuicDial : createTlsDial)(host);
    const credential = { header: 'X-API-Key', value: adminKey };
    for (let made = 0; made < count; made += 20) {
      const some = Array.from({ length: 20 }, () =>
        dial({ relay, role: 'client', credential, trust, signal: AbortSignal.timeout(20_000) }),
      );
      for (const link of await Promise.all(some)) greet(link);
    }
    process.send('made');
    return;
  }
  let done = 0;
  const began = performance.now();
  const pending = new Set();
  while (performance.now() - began < HANDSHAKE_SECONDS * 1_000) {
    const due = ((performance.now() - began) / 1e3) * HANDSHAKES_PER_SECOND;
    while (done + pending.size < due && pending.size < 200) {
      const one = probeQuic({ relay, trust, ...host, signal: AbortSignal.timeout(10_000) })
        .then(() => {
          done += 1;
        })
        .catch(() => {})
        .finally(() => pending.delete(one));
      pending.add(one);
    }
    await new Promise((later) => setTimeout(later, 2));
  }
  await Promise.all(pending);
  process.send(done, () => process.exit(0));
}

/** What a client says first on its link; it answers echoes from then on. */
function greet(link) {
  const frame = (message) => {
    const bytes = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(bytes.length);
    return Buffer.concat([head, bytes]);
  };
  const control = link.openStream(Buffer.from(JSON.stringify({ protocol: '/control/1' })));
  control.on('error', () => {});
  control.write(frame({ type: 'hello', level: 1, version: 'bench' }));
  let held = Buffer.alloc(0);
  control.on('data', (bytes) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
      const message = JSON.parse(held.subarray(4, 4 + held.readUInt32BE(0)));
      held = held.subarray(4 + held.readUInt32BE(0));
      if (message.type === 'echo') control.write(frame({ type: 'echo_reply', id: message.id }));
    }
  });
}
