import { execFile, spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';

const SOURCE = new URL('../mongodb-peer/', import.meta.url).pathname;
const SOURCES = ['go.mod', 'go.sum', 'main.go'];
const START_MS = 30_000;
const run = promisify(execFile);

/** A server of MongoDB's protocol under test. */
export interface MongodbServer {
  readonly uri: string;
  /** A real MongoDB whose address was given: of two processes that race for one document exactly one wins. */
  readonly isReal: boolean;
  /** Port of the server on loopback; absent where it is not ours. */
  readonly port?: number;
  /** Kills the server and starts it again on the same data and port; absent where it is not ours. */
  readonly kill?: () => Promise<void>;
  readonly restart?: () => Promise<void>;
  stop(): Promise<void>;
}

/** Why no server can be had here, to skip tests by name; null when there is one. */
export async function whyNoMongodb(): Promise<string | null> {
  if (process.env.TOWLINE_TEST_MONGODB_URI) return null;
  try {
    await run('go', ['version']);
    return null;
  } catch {
    return 'no TOWLINE_TEST_MONGODB_URI and no Go to build a server with';
  }
}

/** The server whose address is given in TOWLINE_TEST_MONGODB_URI, else one of our own on a free port. */
export async function startMongodb(): Promise<MongodbServer> {
  const given = process.env.TOWLINE_TEST_MONGODB_URI;
  if (given) return { uri: given, isReal: true, stop: async () => undefined };
  const program = await buildPeer();
  const folder = await mkdtemp(join(tmpdir(), 'towline-mongodb-'));
  const port = await freePort();
  let stop = await startPeer(program, folder, port);
  return {
    uri: `mongodb://127.0.0.1:${port}/`,
    isReal: false,
    port,
    kill: () => stop('SIGKILL'),
    restart: async () => {
      stop = await startPeer(program, folder, port);
    },
    stop: async () => {
      await stop('SIGKILL');
      await rm(folder, { recursive: true });
    },
  };
}

/** Builds the program once for each state of its sources. Takes minutes where its modules have to be fetched first. */
export async function buildPeer(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of SOURCES) hash.update(await readFile(join(SOURCE, name)));
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'towline-test');
  const program = join(folder, `mongodb-peer-${hash.digest('hex').slice(0, 16)}`);
  if (await exists(program)) return program;
  await mkdir(folder, { recursive: true });
  const made = `${program}.${randomUUID()}`;
  await run('go', ['build', '-o', made, '.'], { cwd: SOURCE, env: { ...process.env, GOFLAGS: '-buildvcs=false' } });
  await rename(made, program);
  return program;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startPeer(program: string, folder: string, port: number): Promise<(signal: NodeJS.Signals) => Promise<void>> {
  // It ends with its standard input, so also when this process is killed.
  const child = spawn(program, ['-listen', `127.0.0.1:${port}`, '-folder', folder], { stdio: ['pipe', 'ignore', 'ignore'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const deadline = Date.now() + START_MS;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error('the server of MongoDB’s protocol did not start');
    await wait(20);
  }
  return async (signal) => {
    child.kill(signal);
    await exited;
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => undefined).once('connect', () => socket.destroy());
  });
}

/** How a command of MongoDB's protocol on a collection begins, to find it among what is sent. */
export function commandOn(command: string, collection: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32LE(collection.length + 1);
  return Buffer.concat([Buffer.from(`\x02${command}\0`), length, Buffer.from(`${collection}\0`)]);
}
