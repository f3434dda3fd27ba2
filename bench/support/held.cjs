// Loaded into a process that is measured: at SIGUSR2 it collects its garbage and writes what it still holds into `$TOWLINE_BENCH_HELD/PID.json`.
const { writeFileSync, renameSync } = require('node:fs');
const { Session } = require('node:inspector');
const { join } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

/** Entries of all maps, or sets, of the process. */
function entriesOf(session, kind) {
  let found = 0;
  const post = (method, params) => {
    let result;
    session.post(method, params, (error, answer) => {
      if (error) throw new Error(error.message);
      result = answer;
    });
    return result;
  };
  const prototype = post('Runtime.evaluate', { expression: `${kind}.prototype` }).result.objectId;
  const { objects } = post('Runtime.queryObjects', { prototypeObjectId: prototype });
  const functionDeclaration = 'function () { let sum = 0; for (const one of this) { try { sum += one.size; } catch {} } return sum; }';
  found = post('Runtime.callFunctionOn', { objectId: objects.objectId, functionDeclaration, returnByValue: true }).result.value;
  post('Runtime.releaseObject', { objectId: objects.objectId });
  return found;
}

process.on('SIGUSR2', () => {
  collect();
  const session = new Session();
  session.connect();
  const entries = { map: entriesOf(session, 'Map'), set: entriesOf(session, 'Set') };
  session.disconnect();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  const handles = process.getActiveResourcesInfo().length;
  const path = join(process.env.TOWLINE_BENCH_HELD, `${process.pid}.json`);
  writeFileSync(
    `${path}.new`,
    JSON.stringify({ held: heapUsed + external, resident: rss, mapEntries: entries.map, setEntries: entries.set, handles }),
  );
  renameSync(`${path}.new`, path);
});
