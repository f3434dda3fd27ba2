import { once } from 'node:events';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { makeTestPair } from '../../core/link/test/trust-certificates.ts';

/** A CA and a leaf for localhost, made once for all tests of a file. */
export const pair = makeTestPair();

/** A request as the peer received it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** What the peer answers: JSON, or whatever it writes to the response itself. */
export type Answer = { readonly status?: number; readonly json: unknown } | ((response: ServerResponse) => unknown);

/** An HTTPS server on loopback that speaks the relay's API as a test tells it to. */
export interface RelayPeer extends AsyncDisposable {
  readonly url: string;
  readonly server: Server;
  readonly requests: SeenRequest[];
}

/** Starts a peer; `answer` is asked for each request. */
export async function startPeer(answer: (request: SeenRequest) => Answer): Promise<RelayPeer> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Duplex>();
  const server = createServer({ cert: pair.chainPem, key: pair.leaf.keyPem }, async (message, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const url = new URL(message.url!, 'https://peer');
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? undefined : JSON.parse(text);
    const seen = { method: message.method!, path: url.pathname, query: url.searchParams, headers: message.headers, body };
    requests.push(seen);
    send(response, answer(seen));
  });
  server.on('secureConnection', (socket: Duplex) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    server,
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(response: ServerResponse, answer: Answer): void {
  if (typeof answer === 'function') return void answer(response);
  if (answer.status === 204) return void response.writeHead(204).end();
  response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer.json));
}

/** The relay's form of an error. */
export function failure(status: number, code: string, message: string, hint = 'Do something about it.'): Answer {
  return { status, json: { error: { code, message, hint } } };
}

/** A page with everything in it. */
export function list(items: readonly unknown[], next: string | null = null): Answer {
  return { json: { items, next } };
}
