// Inserts devices into the database on the path given, ten at one time, ten times over, and prints a line for each acknowledgement.
import { writeSync } from 'node:fs';
import { sampleDevice } from '@towline/conformance/store-cases';
import { SqliteStore } from '@towline/store-sqlite';

const quiet = () => undefined;
const store = new SqliteStore(process.argv[2], { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: () => 0 } });
await store.start(AbortSignal.timeout(20_000));
writeSync(1, 'begin 0\n');
for (let group = 0; group < 10; group += 1) {
  const devices = Array.from({ length: 10 }, (_, n) => sampleDevice(group * 10 + n));
  await Promise.all(devices.map((device, n) => store.devices.insert(device).then(() => writeSync(1, `done ${group * 10 + n}\n`))));
}
writeSync(1, 'end 0\n');
await store[Symbol.asyncDispose]();
