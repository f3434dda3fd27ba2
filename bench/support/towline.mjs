// Relay, runtimes and command line as real processes, for benchmarks.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const bin = (name) => join(import.meta.dirname, '..', '..', 'node_modules', '.bin', name);

/** Starts a relay in a folder of its own; `environment` is what it and the runtimes get besides. `end()` ends everything that was started. */
export async function startSystem(environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'towline-bench-'));
  const running = [];
  const begin = (name, args, env = {}) => {
    const child = spawn(name.includes('/') ? name : bin(name), args, {
      stdio: ['pipe', 'pipe', name === 'towline' ? 'inherit' : 'ignore'],
      env: { ...process.env, ...env },
    });
    child.stdin.on('error', () => {});
    running.push(child);
    return child;
  };
  const startRelay = async (port) => {
    relay = begin('towline-relay', ['start', '--data', join(folder, 'relay'), '--host', '127.0.0.1', '--port', String(port)], environment);
    return lineOf(relay, /^ready url=(\S+) fingerprint=(\S+)/);
  };
  let relay;
  const [, url, fingerprint] = await startRelay(0);
  const adminKey = readFileSync(join(folder, 'relay/admin.key'), 'utf8').trim();
  const user = {
    TOWLINE_RELAY: url,
    TOWLINE_TLS_FINGERPRINT: fingerprint,
    TOWLINE_API_KEY: adminKey,
    TOWLINE_CONFIG_DIR: join(folder, 'user'),
  };
  return {
    url,
    fingerprint,
    adminKey,
    user,
    get relay() {
      return relay;
    },
    /** Kills the relay. */
    async killRelay() {
      relay.kill('SIGKILL');
      await once(relay, 'exit');
    },
    /** Starts it again, with the same data on the same port. */
    startRelayAgain: () => startRelay(new URL(url).port),
    /** Folder of the relay's data. */
    data: join(folder, 'relay'),
    begin,
    /** Process id of the QUIC edge. */
    edgePid: () => JSON.parse(readFileSync(join(folder, 'relay/quic-edge.json'), 'utf8')).pid,
    /** Starts a runtime, and approves it unless it was before; `by` is another URL that leads to the relay. */
    async startDevice(name, transport, by = url) {
      const args = [
        'run',
        '--relay',
        by,
        '--fingerprint',
        fingerprint,
        '--email',
        'admin@example.com',
        '--name',
        name,
        '--json',
        '--transport',
        transport,
      ];
      const device = begin('towline-agent', process.getuid() === 0 ? [...args, '--run-as', 'root'] : args, {
        ...environment,
        TOWLINE_CONFIG_DIR: join(folder, name),
      });
      const lines = createInterface({ input: device.stdout })[Symbol.asyncIterator]();
      for (;;) {
        const { value } = await lines.next();
        if (value === undefined) throw new Error(`${name} ended early`);
        const { event, request } = JSON.parse(value);
        if (event === 'online') return device;
        if (event === 'waiting') await once(begin('towline', ['devices', 'approve', request], user), 'exit');
      }
    },
    end() {
      for (const child of running) child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function lineOf(child, pattern) {
  for await (const line of createInterface({ input: child.stdout })) {
    const match = pattern.exec(line);
    if (match) return match;
  }
  throw new Error('ended early');
}

/** Resident memory of a process, KiB. */
export function residentKiB(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** Bytes a second that a command of `towline` brings to its stdout, MB/s, from the first byte on. */
export async function throughput(system, words, bytes) {
  const child = system.begin('towline', words, system.user);
  let got = 0;
  let first = 0;
  child.stdout.on('data', (chunk) => {
    first ||= performance.now();
    got += chunk.length;
  });
  await once(child, 'close');
  if (got !== bytes) throw new Error(`${got} bytes instead of ${bytes}`);
  return bytes / 1e3 / (performance.now() - first);
}

/** Round trips of one byte through `exec -i -- cat`, milliseconds, sorted. */
export async function echoes(system, device, count) {
  const child = system.begin('towline', [device, 'exec', '-i', '--', 'cat'], system.user);
  const times = [];
  const over = once(child, 'exit');
  const ended = over.then(() => Promise.reject(new Error('the command ended early')));
  ended.catch(() => {});
  for (let turn = 0; turn < count + 50; turn += 1) {
    const since = performance.now();
    child.stdin.write('x');
    await Promise.race([once(child.stdout, 'data'), ended]);
    if (turn >= 50) times.push(performance.now() - since);
  }
  child.stdin.end();
  await over;
  return times.sort((a, b) => a - b);
}

export const percentile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
