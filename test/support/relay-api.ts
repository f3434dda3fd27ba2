import { readFileSync } from 'node:fs';
import type { OutgoingHttpHeaders } from 'node:http';
import * as https from 'node:https';
import { join } from 'node:path';
import { STEP_MS } from './process.ts';
import type { TestRelay } from './system.ts';

/** What the relay answered to one request. */
export interface ApiAnswer {
  readonly status: number;
  /** Parsed, or null without a body. */
  readonly body: unknown;
  /** Code of the error in it. */
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Parts of a request that may be left out. */
export interface ApiCall {
  readonly key?: string | undefined;
  /** Sent as JSON, a string or buffer as it is. */
  readonly body?: unknown;
  readonly headers?: OutgoingHttpHeaders;
}

/** The HTTP API as anybody with a socket can call it: nothing is checked or corrected on the way. */
export interface RelayApi extends Disposable {
  readonly relay: TestRelay;
  call(method: string, path: string, call?: ApiCall): Promise<ApiAnswer>;
}

/** Opens the API of a relay; `from` is the loopback address to call from, which limits go by. */
export function openApi(relay: TestRelay, from = '127.0.0.1'): RelayApi {
  const agent = new https.Agent({ keepAlive: true, ca: readFileSync(join(relay.dir, 'ca.pem')), localAddress: from });
  return {
    relay,
    call: (method, path, call = {}) => send(https.request(new URL(path, relay.url), { ...requestOptions(method, call), agent }), call),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** Body of an answer of which the test knows the shape. */
export function bodyOf<Body>(answer: ApiAnswer, status = 200): Body {
  if (answer.status !== status) throw new Error(`expected status ${status}: ${JSON.stringify(answer)}`);
  return answer.body as Body;
}

function requestOptions(method: string, { key, body, headers }: ApiCall): https.RequestOptions {
  return {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'x-api-key': key }),
      ...headers,
    },
    timeout: STEP_MS,
  };
}

function send(request: ReturnType<typeof https.request>, { body }: ApiCall): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const isJson = String(response.headers['content-type'] ?? '').startsWith('application/json');
        const parsed: unknown = text === '' ? null : isJson ? JSON.parse(text) : text;
        const code = (parsed as { error?: { code?: string } } | null)?.error?.code;
        resolve({ status: response.statusCode ?? 0, body: parsed, code, headers: response.headers });
      });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${STEP_MS} ms`)));
    request.on('error', reject);
    request.end(typeof body === 'string' || Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body));
  });
}
