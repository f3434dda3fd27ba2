import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { DeviceContext } from '@towline/contract';
import {
  type ClientSession,
  createClientSession,
  createDeviceSession,
  createId,
  type JsonObject,
  MAX_OPEN_MESSAGE,
  MessageSplitter,
  type SessionId,
  type SessionResult,
  toTowlineError,
} from '@towline/protocol';
import { afterEach } from 'vitest';
import { handler } from '../src/device.ts';
import { shellBodySchema } from '../src/messages.ts';
import { plugin } from '../src/relay.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const closings: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closings.splice(0).reverse()) await close();
});

/** Has something closed after the test. */
export function afterwards(close: () => unknown): void {
  closings.push(close);
}

/** Device's end of a session on which a shell runs. */
export interface Served {
  readonly socket: Socket;
  /** What the device's handler answered once all it started was over. */
  readonly served: Promise<SessionResult>;
}

/** Opens a session as a relay and a runtime would, over a real socket. */
export async function openShell(asked: JsonObject): Promise<Served & { readonly client: ClientSession }> {
  const run = await prepareShell(asked);
  const { server, path } = await listen();
  const clientSocket = connect({ path, allowHalfOpen: true });
  const [socket] = (await once(server, 'connection')) as [Socket];
  afterwards(() => clientSocket.destroy());
  const id = createId<SessionId>();
  return { ...run(socket, id), client: createClientSession(clientSocket, id) };
}

/** A device that waits for the CLI half as a process of its own, and the words that start that. */
export async function awaitCli(): Promise<{ readonly words: readonly string[]; readonly id: SessionId; readonly opened: Promise<Served> }> {
  const { server, path } = await listen();
  const id = createId<SessionId>();
  const opened = once(server, 'connection').then(([socket]) => accept(socket as Socket, id));
  opened.catch(() => {});
  return { words: [process.execPath, fileURLToPath(new URL('client-program.mjs', import.meta.url)), path, id], id, opened };
}

/** Reads until the pattern matches what was read, and returns that. */
export async function readUntil(stream: Readable, pattern: RegExp): Promise<string> {
  let read = '';
  const signal = AbortSignal.timeout(15_000);
  while (!pattern.test(read)) {
    const chunk = stream.read() as Buffer | null;
    if (chunk !== null) read += chunk.toString('utf8');
    else if (stream.readableEnded) throw new Error(`ended before ${pattern}: ${JSON.stringify(read)}`);
    else await once(stream, 'readable', { signal }).catch(() => Promise.reject(new Error(`no ${pattern} in ${JSON.stringify(read)}`)));
  }
  return read;
}

async function listen(): Promise<{ server: Server; path: string }> {
  const path = join(tmpdir(), `towline-shell-${createId<SessionId>()}.sock`);
  const server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  afterwards(() => {
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
      const run = await prepareShell(JSON.parse(message.toString()));
      socket.unshift(splitter.rest());
      return run(socket, id);
    }
    const chunk = socket.read() as Buffer | null;
    if (chunk) splitter.push(chunk);
    else await once(socket, 'readable');
  }
}

/** What the relay half and the device half make of an open message. */
async function prepareShell(asked: JsonObject): Promise<(socket: Socket, id: SessionId) => Served> {
  const relay = plugin.create({}, { log, clock: Date } as never);
  const { body } = relay.prepare(shellBodySchema.parse(asked), {} as never);
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
  const prepared = await handler.prepare(shellBodySchema.parse(JSON.parse(JSON.stringify(body))), context);
  return (socket, id) => {
    const device = createDeviceSession(socket, id);
    const served = prepared.run(device.session);
    const finished = served.then((result) => device.finish(result)).catch((error: unknown) => device.abort(toTowlineError(error)));
    afterwards(async () => {
      socket.destroy();
      await finished;
    });
    return { socket, served };
  };
}
