import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(import.meta.dirname, 'udp-impairment-process.mjs');

/**
 * Starts the UDP impairment proxy as a process of its own. Options are those of `openUdpImpairment`; the result can do
 * the same, each with a promise, and its statistics tell the processor time and memory of the process too.
 */
export async function startUdpImpairment(options) {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the UDP impairment proxy ended; its reason is on stderr');
    return JSON.parse(value);
  };
  let turn = read();
  const { local } = await turn;
  /** One order at a time: answers come in the order of the questions. */
  const order = (name, ...words) => {
    turn = turn.then(async () => {
      child.stdin.write(`${JSON.stringify({ do: name, with: words })}\n`);
      const { value, error } = await read();
      if (error !== undefined) throw new Error(error);
      return value;
    });
    const answered = turn;
    turn = turn.catch(() => {});
    return answered;
  };
  const close = async () => {
    child.stdin.on('error', () => {}).end();
    await ended;
  };
  return {
    local,
    pid: child.pid,
    statistics: () => order('statistics'),
    decisions: () => order('decisions'),
    rebind: (to = {}) => order('rebind', to),
    blackHole: (on, ...direction) => order('blackHole', on, ...direction),
    change: (direction, profile) => order('change', direction, profile),
    close,
    [Symbol.asyncDispose]: close,
  };
}
