// Appends audit records and inserts devices without end on the path given, and prints a line for each acknowledgement:
// `audit N` or `device N`. It is made to be killed.
import { writeSync } from 'node:fs';
import { sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import { SqliteStore } from '@towline/store-sqlite';

const quiet = () => undefined;
const store = new SqliteStore(process.argv[2], { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: () => 0 } });
const acknowledge = (what, n) => writeSync(1, `${what} ${n}\n`);

async function appendRecords() {
  for (;;) {
    const records = sampleRecords([{}, {}, {}], await store.audit.head());
    await store.audit.append(records);
    acknowledge('audit', records.at(-1).number);
  }
}

async function insertDevices(first) {
  for (let n = first; ; n += 10) {
    if (await store.devices.insert(sampleDevice(n))) acknowledge('device', n);
  }
}

await store.start(AbortSignal.timeout(20_000));
const devices = Number(process.argv[3]);
await Promise.all([appendRecords(), ...Array.from({ length: 10 }, (_, n) => insertDevices(devices + n))]);
