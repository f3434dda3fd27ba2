import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';
import { listenQuic } from '../src/relay/listen-quic.ts';
import { processScope, processStart } from '../src/relay/process-start.ts';
import { certificate, dialEdge, EDGE_PROGRAM, freePort, isFree, keepingLog, startTestRelay, type TestRelay, until } from './edge-door.ts';

const RELAY_PROGRAM = fileURLToPath(new URL('./relay-program.mjs', import.meta.url));
const relays: TestRelay[] = [];
const children: ChildProcess[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const relay of relays.splice(0)) await relay[Symbol.asyncDispose]();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function start(...how: Parameters<typeof startTestRelay>): Promise<TestRelay> {
  const relay = await startTestRelay(...how);
  relays.push(relay);
  return relay;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'tq-'));
  folders.push(path);
  return path;
}

const statusOf = ({ listener }: TestRelay) => listener.state.status;
const isAlive = async (pid: number) => (await processStart(pid)) !== null;
const isServing = (relay: TestRelay) => () =>
  dialEdge(relay.port, 'client').then(
    (link) => link.close('link_closed').then(() => true),
    () => false,
  );

describe('the edge of a running relay', () => {
  it('comes back when it is killed, and says meanwhile that it is not there', async () => {
    const relay = await start();
    const [link] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    const first = relay.edgePid();
    process.kill(first, 'SIGKILL');
    await until('the listener is down', () => statusOf(relay) !== 'up');
    expect(relay.listener.state.detail).toContain('SIGKILL');
    await until('the listener is up', () => statusOf(relay) === 'up');
    expect(relay.edgePid()).not.toBe(first);
    expect(relay.listener.state.figures).toMatchObject({ up: 1, restarts_total: 1 });
    // The new edge tells whoever goes on with the old connection.
    void link.ping(AbortSignal.timeout(10_000)).catch(() => undefined);
    expect((await link.closed).code).toBe('link_lost');
    expect(await isServing(relay)()).toBe(true);
  });

  it('is killed and started again when it stands still', async () => {
    const relay = await start();
    const first = relay.edgePid();
    process.kill(first, 'SIGSTOP');
    await until('a new edge is up', () => statusOf(relay) === 'up' && relay.edgePid() !== first, 15_000);
    expect(await isAlive(first)).toBe(false);
    expect(relay.log.lines.join('\n')).toContain('fell silent');
    expect(await isServing(relay)()).toBe(true);
  });

  it('is started again when it has grown too large, and says goodbye before', async () => {
    const relay = await start({ maxResidentBytes: 40 * 1_048_576 });
    const links = dialEdge(relay.port, 'client').then((link) => link.closed);
    await relay.door.next();
    expect(await links).toMatchObject({ code: 'unavailable', message: 'The relay starts its QUIC edge again.', by: 'peer' });
    await until('it was started again', () => (relay.listener.state.figures.restarts_total ?? 0) > 0);
    expect(relay.log.lines.join('\n')).toMatch(/held \d+ MiB of memory/);
  });

  it('outlives the signals that a terminal or a service manager sends to all processes', async () => {
    const relay = await start();
    const [link] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(relay.edgePid(), signal);
    expect(await link.ping(AbortSignal.timeout(10_000))).toBeGreaterThan(0);
    expect(relay.listener.state).toMatchObject({ status: 'up', figures: { restarts_total: 0 } });
    await link.close('link_closed');
  });

  it('has none of the relay’s environment', async () => {
    process.env.TOWLINE_TEST_SECRET = 'planted';
    const relay = await start();
    delete process.env.TOWLINE_TEST_SECRET;
    if (process.platform !== 'linux') return;
    const environment = readFileSync(`/proc/${relay.edgePid()}/environ`, 'utf8');
    const names = environment.split('\0').map((entry) => entry.split('=')[0]);
    expect(names.filter((name) => name !== '' && !['LANG', 'TZ', 'LD_LIBRARY_PATH'].includes(name!))).toEqual([]);
    const words = readFileSync(`/proc/${relay.edgePid()}/cmdline`, 'utf8');
    expect(words).not.toContain('PRIVATE KEY');
  });

  it('takes a new certificate for what comes, and what is there goes on', async () => {
    const relay = await start();
    const [link] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    const other = makeTestPair();
    relay.listener.renewCertificate({ certPem: other.chainPem, keyPem: other.leaf.keyPem });
    await until('the old CA is not enough any more', async () => !(await isServing(relay)()));
    expect(await link.ping(AbortSignal.timeout(10_000))).toBeGreaterThan(0);
    relay.listener.renewCertificate({ certPem: 'not a certificate', keyPem: 'nor a key' });
    await until('it complained', () => relay.log.lines.some((line) => line.includes('cannot be used')));
    relay.listener.renewCertificate(certificate);
    await until('the first CA is enough again', isServing(relay));
    expect(relay.listener.state.figures.restarts_total).toBe(0);
    await link.close('link_closed');
  });

  it('takes leave of its connections when the relay stops, and leaves nothing behind', async () => {
    const relay = await start();
    const [link] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    const pid = relay.edgePid();
    const { folder: socketFolder } = JSON.parse(await readFile(join(relay.dataDir, 'quic-edge.json'), 'utf8'));
    await relay.listener[Symbol.asyncDispose]();
    expect(await link.closed).toMatchObject({ code: 'unavailable', message: 'The relay is stopping.', by: 'peer' });
    expect(await isAlive(pid)).toBe(false);
    expect(existsSync(socketFolder)).toBe(false);
    expect(readdirSync(relay.dataDir)).toEqual([]);
    expect(await isFree(relay.port)).toBe(true);
    await relay.listener[Symbol.asyncDispose]();
  });
});

describe('an edge that stands still', () => {
  it('does not keep the relay from stopping', async () => {
    const relay = await start();
    const pid = relay.edgePid();
    process.kill(pid, 'SIGSTOP');
    await relay.listener[Symbol.asyncDispose]();
    expect([await isAlive(pid), await isFree(relay.port)]).toEqual([false, true]);
  });
});

describe('a start', () => {
  it('on a name without an address is not possible, and says so', async () => {
    const door = { host: 'no-such-name.invalid', port: 1, certificate, accept: () => undefined };
    const listener = await listenQuic(door, { dataDir: await folder(), maxConnections: 1, log: keepingLog() });
    expect(listener.state).toMatchObject({ status: 'unavailable', detail: expect.stringContaining('no-such-name.invalid') });
  });

  it('tells that the port is in use, in one line, goes on trying, and serves once it is free', async () => {
    const port = await freePort();
    const stranger = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true });
    await once(stranger, 'listening');
    const relay = await start({ port });
    expect(relay.listener.state).toMatchObject({ status: 'down', detail: `UDP port ${port} cannot be opened: it is in use.` });
    await until('it has tried again', () => (relay.listener.state.figures.restarts_total ?? 0) >= 2);
    expect(relay.log.lines.filter((line) => line.includes('in use'))).toHaveLength(1);
    stranger.close();
    await until('it is up', () => statusOf(relay) === 'up');
    expect(await isServing(relay)()).toBe(true);
  });

  it('without TLS is not possible, and says so', async () => {
    const log = keepingLog();
    const listener = await listenQuic(
      { host: '127.0.0.1', port: 1, certificate: null, accept: () => undefined },
      { dataDir: await folder(), maxConnections: 1, log },
    );
    expect(listener.state).toMatchObject({ status: 'unavailable', detail: expect.stringContaining('TLS') });
    listener.renewCertificate(certificate);
    await listener[Symbol.asyncDispose]();
  });

  it('of a program that ends at once is tried again, later and later', async () => {
    const program = join(await folder(), 'edge.mjs');
    await writeFile(program, 'console.error("no such thing"); process.exit(3);');
    const relay = await start({ program });
    expect(relay.listener.state).toMatchObject({ status: 'down', detail: 'The QUIC edge ended with status 3.' });
    expect(relay.log.lines.some((line) => line.includes('no such thing'))).toBe(true);
    await until('it has tried again', () => (relay.listener.state.figures.restarts_total ?? 0) >= 2);
    expect(relay.log.lines.filter((line) => line.includes('not served'))).toHaveLength(1);
  });

  it('survives a program that writes nonsense to its channel', async () => {
    const program = join(await folder(), 'edge.mjs');
    await writeFile(
      program,
      'import { writeSync } from "node:fs"; writeSync(3, "\\xff\\xff\\xff\\xff nonsense"); setInterval(() => {}, 1000);',
    );
    const relay = await start({ program });
    expect(relay.listener.state).toMatchObject({ status: 'down', detail: expect.stringContaining('no message') });
  });
});

describe('after a relay that was killed', () => {
  it('the edge goes away by itself and the port is free', async () => {
    const [dataDir, port] = [await folder(), await freePort()];
    const { relay, edgePid } = await startRelayProcess(dataDir, port);
    expect(await isFree(port)).toBe(false);
    relay.kill('SIGKILL');
    await until('the edge is gone', async () => !(await isAlive(edgePid)), 10_000);
    expect(await isFree(port)).toBe(true);
  });

  it('an edge that stands still is ended by the next relay, and its folder removed', async () => {
    const [dataDir, port] = [await folder(), await freePort()];
    const { relay, edgePid } = await startRelayProcess(dataDir, port);
    process.kill(edgePid, 'SIGSTOP');
    relay.kill('SIGKILL');
    await once(relay, 'exit');
    const { folder: left } = JSON.parse(await readFile(join(dataDir, 'quic-edge.json'), 'utf8'));
    expect([await isFree(port), existsSync(left)]).toEqual([false, true]);
    const next = await start({ dataDir, port });
    expect(statusOf(next)).toBe('up');
    expect([await isAlive(edgePid), existsSync(left)]).toEqual([false, false]);
  });

  it.each([
    ['with the number of another process', (own: object) => ({ ...own, started: '1' })],
    ['of another machine', (own: object) => ({ ...own, scope: 'elsewhere' })],
    ['that says too little', ({ pid }: { pid: number }) => ({ pid })],
    ['that is no record', () => 'nonsense'],
    ['that names every process', (own: object) => ({ ...own, pid: -1 })],
  ] as const)('a record %s ends nobody', async (_, forge) => {
    const innocent = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    children.push(innocent);
    const pid = innocent.pid!;
    const own = { pid, started: (await processStart(pid))!, scope: await processScope(), folder: '/tmp' };
    const dataDir = await folder();
    await writeFile(join(dataDir, 'quic-edge.json'), JSON.stringify(forge(own)));
    const relay = await start({ dataDir });
    expect(statusOf(relay)).toBe('up');
    expect(await isAlive(pid)).toBe(true);
  });
});

/** A process that does what a relay does for QUIC, and its edge. */
async function startRelayProcess(dataDir: string, port: number): Promise<{ readonly relay: ChildProcess; readonly edgePid: number }> {
  const relay = spawn(process.execPath, [RELAY_PROGRAM, dataDir, String(port)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, TEST_CERTIFICATE: JSON.stringify(certificate), TEST_PROGRAM: EDGE_PROGRAM },
  });
  children.push(relay);
  const [state] = await once(relay, 'message');
  expect(state).toMatchObject({ status: 'up' });
  return { relay, edgePid: JSON.parse(await readFile(join(dataDir, 'quic-edge.json'), 'utf8')).pid };
}
