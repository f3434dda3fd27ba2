import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/**
 * Opens a way to a port of loopback, in a process of its own. `passed()` says how many bytes went up, towards that port, and down; `cut()` drops
 * all connections: new ones are taken again.
 */
export async function openWay(port) {
  const child = fork(join(import.meta.dirname, 'way-process.mjs'), [String(port)]);
  const [ready] = await once(child, 'message');
  let turn = Promise.resolve();
  const order = (what) => {
    turn = turn.then(async () => {
      child.send(what);
      return (await once(child, 'message'))[0];
    });
    return turn;
  };
  return {
    url: `https://127.0.0.1:${ready.port}`,
    passed: () => order('passed'),
    cut: () => order('cut'),
    close: () => child.disconnect(),
  };
}
