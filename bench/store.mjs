// The SQLite store: pages of devices, audit writes, concurrent inserts; and the echo of a tunnel while the store of its relay is exported.
// node bench/store.mjs [part] [name]     part of the work, 1 by default; 0.05 shows in half a minute that it runs. name: one table alone
//
// It prints four tables, as they stand in RESULTS.md:
//   pages    p50 and p99 in microseconds of a look-up of one device by its id and of pages of 100 devices, for a user with 20 scopes who sees
//            about 5 % of 100,000 devices, and the same against the look-up: the ratio says what a page costs beyond one round trip
//   audit    records a second in batches (must: 10,000), straight into the store and through the pipeline that a relay has
//   inserts  devices a second, one after the other and many at one time, and how many writes share a commit
//   echo     p50 and p99 in milliseconds of one byte through `exec -i -- cat`, alone and while `towline-relay store export` of 100,000 records
//            runs again and again beside the relay, in alternating rounds; medians over the rounds, and the ratio of p99 (must: 2 at most)
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACME, idOf, sampleDevice, sampleRecords, sampleShare } from '../core/conformance/dist/store/cases.js';
import { SYSTEM_SCOPE } from '../core/contract/dist/system-scope.js';
import { createAuditPipeline } from '../core/kernel/dist/index.js';
import { SqliteStore } from '../plugins/store-sqlite/dist/index.js';
import { echoes, median, percentile, startSystem } from './support/towline.mjs';

const part = Number(process.argv[2] ?? 1);
const only = process.argv[3];
const scaled = (count, least) => Math.max(least, Math.round(count * part));
const DEVICES = scaled(100_000, 2_000);
/** Owners of the devices; the user has the scopes of 20 of them. */
const OWNERS = 500;
const USER_SCOPES = Array.from({ length: 20 }, (_, n) => `org:owner-${n * 7}`);
const PAGE = 100;
const SAMPLES = scaled(2_000, 100);
/** As the pipeline of a relay makes them, and larger ones. */
const BATCHES = [100, 500];
const AUDIT_RECORDS = scaled(60_000, 3_000);
const INSERTS = scaled(20_000, 500);
const EXPORTED_RECORDS = scaled(100_000, 5_000);
const ECHO_ROUNDS = scaled(5, 1);
const ECHOES = scaled(2_000, 200);

const quiet = () => undefined;
const parts = { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: Date.now } };
const folder = mkdtempSync(join(tmpdir(), 'towline-bench-store-'));
console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}; part ${part}`);
try {
  const measures = {
    pages: () => withStore('pages', measurePages),
    audit: () => withStore('audit', measureAudit),
    inserts: () => withStore('inserts', measureInserts),
    echo: measureEcho,
  };
  for (const [name, measure] of Object.entries(measures)) if (only === undefined || only === name) await measure();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function withStore(name, measure) {
  const store = new SqliteStore(join(folder, `${name}.db`), parts);
  await store.start(AbortSignal.timeout(60_000));
  try {
    table(await measure(store));
  } finally {
    await store[Symbol.asyncDispose]();
  }
}

function table([head, ...rows]) {
  console.log('');
  for (const row of [head, head.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`);
}

/** One device in fifty is shared with an organisation of the user as well. */
async function* deviceRecords() {
  for (let n = 0; n < DEVICES; n += 1) {
    const shares = n % 50 === 0 ? [sampleShare(USER_SCOPES[n % 20]), sampleShare(ACME)] : [];
    yield { kind: 'device', value: sampleDevice(n, { owner: `org:owner-${n % OWNERS}`, shares }) };
  }
}

async function measurePages(store) {
  await store.import(deviceRecords(), new AbortController().signal);
  const cursors = await cursorsOf(store);
  const work = {
    'one device by its id': (n) => store.devices.get(idOf((n * 7919) % DEVICES), SYSTEM_SCOPE),
    'first page': () => store.devices.list({}, { limit: PAGE }, USER_SCOPES),
    'a later page': (n) => store.devices.list({}, { limit: PAGE, cursor: cursors[n % cursors.length] }, USER_SCOPES),
    'first page, of everybody': () => store.devices.list({}, { limit: PAGE }, SYSTEM_SCOPE),
  };
  const times = Object.fromEntries(Object.keys(work).map((name) => [name, []]));
  // In turn, so that whatever else the machine does falls on all alike.
  for (let n = -50; n < SAMPLES; n += 1) {
    for (const [name, look] of Object.entries(work)) {
      const since = performance.now();
      await look(n + 50);
      if (n >= 0) times[name].push((performance.now() - since) * 1_000);
    }
  }
  const [one] = Object.values(times).map((of) => percentile(sorted(of), 0.5));
  const rows = Object.entries(times).map(([name, of]) => {
    const [p50, p99] = [0.5, 0.99].map((share) => percentile(sorted(of), share));
    return [name, p50.toFixed(0), p99.toFixed(0), (p50 / one).toFixed(1)];
  });
  return [[`pages of ${PAGE} among ${DEVICES} devices, 20 scopes`, 'p50 µs', 'p99 µs', 'p50 against one device'], ...rows];
}

async function cursorsOf(store) {
  const cursors = [];
  let { next } = await store.devices.list({}, { limit: PAGE }, USER_SCOPES);
  while (next !== null) {
    cursors.push(next);
    ({ next } = await store.devices.list({}, { limit: PAGE, cursor: next }, USER_SCOPES));
  }
  return cursors;
}

async function measureAudit(store) {
  const rows = [];
  for (const batch of BATCHES) {
    // Made before, as the hashes are not the store's work.
    const records = sampleRecords(
      Array.from({ length: AUDIT_RECORDS }, () => ({})),
      await store.audit.head(),
    );
    const rate = await perSecond(AUDIT_RECORDS, async () => {
      for (let at = 0; at < records.length; at += batch) await store.audit.append(records.slice(at, at + batch));
    });
    rows.push([`batches of ${batch}, one after the other`, rate.toFixed(0), '10000']);
  }
  const events = Array.from({ length: AUDIT_RECORDS }, (_, n) => eventOf(n));
  const pipeline = createAuditPipeline({ store: store.audit, sinks: [], ...parts });
  const through = await perSecond(AUDIT_RECORDS, () => inLanes(500, AUDIT_RECORDS, (n) => pipeline.note(events[n])));
  await pipeline[Symbol.asyncDispose]();
  rows.push(['through the pipeline of a relay, 500 waiting, hashes included', through.toFixed(0), '']);
  return [['audit', 'records a second', 'must'], ...rows];
}

function eventOf(n) {
  const { number: _number, hash: _hash, previousHash: _previous, ...event } = sampleRecords([{}], { number: n, hash: '' })[0];
  return event;
}

async function measureInserts(store) {
  const rows = [];
  let first = 0;
  for (const lanes of [1, 16, 256]) {
    const count = lanes === 1 ? Math.ceil(INSERTS / 10) : INSERTS;
    const before = store.stats();
    const from = first;
    const rate = await perSecond(count, () => inLanes(lanes, count, (n) => store.devices.insert(sampleDevice(from + n))));
    const after = store.stats();
    rows.push([lanes, rate.toFixed(0), ((after.writes - before.writes) / (after.commits - before.commits)).toFixed(1)]);
    first += count;
  }
  return [['inserts at one time', 'devices a second', 'writes in a commit'], ...rows];
}

/** Runs work `count` times, so many at one time. */
async function inLanes(lanes, count, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function perSecond(count, work) {
  const since = performance.now();
  await work();
  return (count * 1_000) / (performance.now() - since);
}

async function measureEcho() {
  const system = await startSystem();
  try {
    await system.startDevice('bench', 'tls');
    await fillTrail(system.data);
    const alone = [];
    const beside = [];
    let exports = 0;
    for (let round = 0; round < ECHO_ROUNDS; round += 1) {
      alone.push(await echoes(system, 'bench', ECHOES));
      const exporting = exportOn(system);
      await exporting.begun;
      beside.push(await echoes(system, 'bench', ECHOES));
      exports += await exporting.stop();
    }
    const row = (what, rounds) => [what, ...[0.5, 0.99].map((share) => median(rounds.map((times) => percentile(times, share))).toFixed(2))];
    const p99 = (rounds) => median(rounds.map((times) => percentile(times, 0.99)));
    table([
      [`echo through a tunnel, ${ECHO_ROUNDS} rounds of ${ECHOES}`, 'p50 ms', 'p99 ms'],
      row('alone', alone),
      row(`while ${EXPORTED_RECORDS} records are exported (${exports} exports)`, beside),
      ['p99 against alone (must: 2 at most)', '', (p99(beside) / p99(alone)).toFixed(2)],
    ]);
  } finally {
    system.end();
  }
}

/** Adds records to the trail of a running relay, as a rescue command does. */
async function fillTrail(data) {
  const store = new SqliteStore(join(data, 'towline.db'), parts);
  await store.start(AbortSignal.timeout(60_000));
  const pipeline = createAuditPipeline({ store: store.audit, sinks: [], ...parts });
  await inLanes(500, EXPORTED_RECORDS, (n) => pipeline.note(eventOf(n)));
  await pipeline[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
}

/** Exports again and again to nowhere. `stop()` ends the last one and answers how many were whole. */
function exportOn(system) {
  const state = { on: true, whole: 0, child: null, begun: null };
  const begun = new Promise((resolve) => {
    state.begun = resolve;
  });
  const loop = (async () => {
    while (state.on) {
      state.child = system.begin('towline-relay', ['store', 'export', '-', '--data', system.data]);
      state.child.stdout.once('data', state.begun).resume();
      const [code] = await once(state.child, 'exit');
      if (code === 0) state.whole += 1;
      else if (state.on) throw new Error(`an export ended with ${code}`);
    }
  })();
  // Told by stop(), or by the waiting for the begin.
  loop.catch(state.begun);
  const stop = async () => {
    state.on = false;
    state.child.kill('SIGTERM');
    await loop;
    return state.whole;
  };
  return { begun, stop };
}

function sorted(values) {
  return values.toSorted((a, b) => a - b);
}
