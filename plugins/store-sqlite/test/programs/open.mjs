// Opens a store on the path given, inserts the devices numbered from A to B where told to, closes it,
// and prints one line of JSON: the error it met, or {"ok":true}.
import { sampleDevice } from '@towline/conformance/store-cases';
import { SqliteStore } from '@towline/store-sqlite';

const [path, from = '1', to = '0'] = process.argv.slice(2);
const quiet = () => undefined;
const store = new SqliteStore(path, { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: () => 0 } });
try {
  await store.start(AbortSignal.timeout(20_000));
  for (let n = Number(from); n <= Number(to); n += 1) await store.devices.insert(sampleDevice(n));
  console.log(JSON.stringify({ ok: true }));
} catch (error) {
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }));
} finally {
  await store[Symbol.asyncDispose]();
}
