import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CliHost, DeviceContext } from '@towline/contract';
import {
  type ClientSession,
  createClientSession,
  createDeviceSession,
  createId,
  type DeviceSessionEnd,
  type JsonObject,
  MAX_OPEN_MESSAGE,
  MessageSplitter,
  type SessionId,
  type SessionResult,
  toTowlineError,
} from '@towline/protocol';
import { afterEach } from 'vitest';
import { command } from '../src/cli.ts';
import { handler } from '../src/device.ts';
import { execBodySchema } from '../src/messages.ts';
import { plugin } from '../src/relay.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const closings: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

/** Device's end of a session on which a command runs. */
export interface Served {
  readonly device: DeviceSessionEnd;
  /** The device's end of the connection, to break it. */
  readonly socket: Socket;
  /** What the device's handler answered once all it started was over. */
  readonly served: Promise<SessionResult>;
}

/** A session with both its ends here. */
export interface Running extends Served {
  readonly client: ClientSession;
}

/** What the CLI half left behind when it ran. */
export interface Finished {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Opens a session as a relay and a runtime would, over a real socket. */
export async function openExec(asked: JsonObject): Promise<Running> {
  const run = await prepareExec(asked);
  const { server, path } = await listen();
  const clientSocket = connect({ path, allowHalfOpen: true });
  const [socket] = (await once(server, 'connection')) as [Socket];
  closings.push(() => clientSocket.destroy());
  const id = createId<SessionId>();
  return { ...run(socket, id), client: createClientSession(clientSocket, id) };
}

/** Runs `towline DEVICE exec` in this process, with streams that a test holds. */
export async function runCli(args: readonly string[], options: { stdin?: Buffer | string } = {}): Promise<Finished> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  if (options.stdin !== undefined) stdin.end(options.stdin);
  const host: CliHost = {
    openSession: async (_protocol, body) => ({
      session: (await openExec(body)).client,
      answer: {},
      device: { id: 'd'.repeat(32), name: 'pi', fingerprint: `sha256:${'0'.repeat(64)}` },
    }),
    keepLink: () => Promise.reject(new Error('exec opens one session')),
    stdin,
    stdout,
    stderr,
    env: { TERM: 'xterm' },
    json: false,
    signal: new AbortController().signal,
  };
  const bytes = [collect(stdout), collect(stderr)];
  const code = await command.run({ device: 'pi', args, options: options.stdin === undefined ? {} : { stdin: true } }, host);
  stdout.end();
  stderr.end();
  const [out, err] = await Promise.all(bytes);
  return { code, stdout: out!, stderr: err! };
}

/** `towline DEVICE exec` as a process of its own. */
export interface CliProcess {
  readonly child: ChildProcess;
  /** The device's side, once the session is open. */
  readonly opened: Promise<Served>;
  readonly finished: Promise<Finished>;
}

/** Starts the CLI half as a process. `shell` is a line for sh in which `"$@"` stands for it. */
export async function startCli(args: readonly string[], options: { shell?: string; options?: JsonObject } = {}): Promise<CliProcess> {
  const { server, path } = await listen();
  const id = createId<SessionId>();
  const opened = once(server, 'connection').then(([socket]) => accept(socket as Socket, id));
  opened.catch(() => {});
  const program = fileURLToPath(new URL('client-program.mjs', import.meta.url));
  const words = [process.execPath, program, path, id, JSON.stringify(options.options ?? {}), ...args];
  const child = spawn('/bin/sh', ['-c', options.shell ?? 'exec "$@"', 'sh', ...words], { stdio: 'pipe' });
  closings.push(() => child.kill('SIGKILL'));
  const outputs = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const finished = once(child, 'close').then(async ([code]) => ({
    code: code as number,
    stdout: (await outputs)[0]!,
    stderr: (await outputs)[1]!,
  }));
  return { child, opened, finished };
}

/** Waits, looking again and again, until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function listen(): Promise<{ server: Server; path: string }> {
  const path = join(tmpdir(), `towline-exec-${createId<SessionId>()}.sock`);
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  closings.push(() => {
    server.close();
    rmSync(path, { force: true });
  });
  return { server, path };
}

/** Reads the open message of a client that is another process, and serves it. */
async function accept(socket: Socket, id: SessionId): Promise<Served> {
  const splitter = new MessageSplitter(MAX_OPEN_MESSAGE);
  for (;;) {
    const message = splitter.next();
    if (message) {
      const run = await prepareExec(JSON.parse(message.toString()));
      socket.unshift(splitter.rest());
      return run(socket, id);
    }
    const chunk = socket.read() as Buffer | null;
    if (chunk) splitter.push(chunk);
    else await once(socket, 'readable');
  }
}

/** What the relay half and the device half make of an open message. */
async function prepareExec(asked: JsonObject): Promise<(socket: Socket, id: SessionId) => Served> {
  const relay = plugin.create({}, { log, clock: Date } as never);
  const { body } = relay.prepare(execBodySchema.parse(asked), {} as never);
  const context: DeviceContext = {
    log,
    clock: Date,
    principal: 'ada@example.com',
    account: 'ada',
    device: { id: 'd'.repeat(32), name: 'pi' },
    runAs: process.getuid?.() === 0 ? 'root' : undefined,
    signal: new AbortController().signal,
    note: () => true,
  };
  const prepared = await handler.prepare(execBodySchema.parse(JSON.parse(JSON.stringify(body))), context);
  return (socket, id) => {
    const device = createDeviceSession(socket, id);
    const served = prepared.run(device.session);
    const finished = served.then((result) => device.finish(result)).catch((error: unknown) => device.abort(toTowlineError(error)));
    closings.push(async () => {
      socket.destroy();
      await finished;
    });
    return { device, socket, served };
  };
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {});
  await new Promise((resolve) => stream.once('close', resolve));
  return Buffer.concat(chunks);
}
