import type { IncomingMessage } from 'node:http';
import * as https from 'node:https';
import type { ListView, TrustSettings } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { RelayAgent } from './relay-agent.ts';
import { decodeAnswer, notTowline, type RelayAnswer, readAnswer } from './relay-answer.ts';
import { explainRequestFault } from './request-fault.ts';
import { cancellation, startDeadline } from './trust/deadline.ts';
import { createRelayConnector } from './trust/relay-connector.ts';

/** Largest answer, bytes: a page of a list has some hundred KB. */
const MAX_ANSWER_BYTES = 16 * 1_024 * 1_024;
/** Time for a whole request, milliseconds. */
const REQUEST_DEADLINE_MS = 30_000;

/** A credential and the header it goes into. */
export interface RelayCredential {
  readonly header: 'X-API-Key' | 'Authorization';
  readonly value: string;
}

/** What {@link createApiClient} takes. */
export interface ApiClientOptions {
  readonly relay: URL;
  readonly trust: TrustSettings;
  readonly credential?: RelayCredential;
  readonly userAgent: string;
  /** Where SSL_CERT_FILE is looked up, usually `process.env`. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called for each connection that is not verified (TOWLINE_TRUST_INVALID_CERT). */
  readonly warn: (text: string) => void;
  /** 10 s by default. */
  readonly connectTimeoutMs?: number;
  /** 30 s by default. */
  readonly deadlineMs?: number;
}

/** Parts of a request that may be left out. */
export interface RequestExtras {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Keys with undefined are left out; a list becomes a repeated key. */
  readonly query?: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;
  readonly signal?: AbortSignal;
}

/** Client of a relay's HTTP API. */
export interface ApiClient extends Disposable {
  /**
   * The JSON of the answer; undefined for one without body. `path` begins with a slash; ids in it are to be encoded.
   * @throws TowlineError what the relay reported, or that of the connection, `timeout`, `relay_not_towline`.
   */
  request<T>(method: string, path: string, extras?: RequestExtras): Promise<T>;
  /** All items of a list, page by page. */
  list<Item>(path: string, extras?: Omit<RequestExtras, 'body'>): AsyncGenerator<Item, void, undefined>;
}

/** Makes a client; whoever makes it disposes it, which ends its connections. Redirects are not followed. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const agent = new RelayAgent(createRelayConnector(options));
  const request = <T>(method: string, path: string, extras: RequestExtras = {}) =>
    sendWithDeadline(options, agent, { method, url: resolvePath(options.relay, path, extras.query), extras }) as Promise<T>;
  return {
    // Async, so that a path that is refused rejects like any other fault.
    request: async (method, path, extras) => request(method, path, extras),
    list: (path, extras = {}) => followPages((cursor) => request('GET', path, { ...extras, query: { ...extras.query, cursor } })),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

interface PreparedRequest {
  readonly method: string;
  readonly url: URL;
  readonly extras: RequestExtras;
}

/** A path such as `//host/` would leave the relay, and the credential with it. */
function resolvePath(relay: URL, path: string, query: RequestExtras['query'] = {}): URL {
  const url = new URL(path, relay);
  if (!path.startsWith('/') || url.origin !== relay.origin)
    throw new TowlineError('invalid_request', 'The path of the request is not valid.');
  for (const [key, value] of Object.entries(query)) {
    for (const each of [value ?? []].flat()) url.searchParams.append(key, String(each));
  }
  return url;
}

async function sendWithDeadline(options: ApiClientOptions, agent: RelayAgent, prepared: PreparedRequest): Promise<unknown> {
  const ms = options.deadlineMs ?? REQUEST_DEADLINE_MS;
  const expired = () => new TowlineError('timeout', `The relay ${options.relay.host} did not answer within ${ms / 1_000} s.`);
  const deadline = startDeadline(ms, expired, prepared.extras.signal);
  try {
    return decodeAnswer(await sendOnceMore(options, agent, { ...prepared, extras: { ...prepared.extras, signal: deadline.signal } }));
  } catch (error) {
    throw deadline.signal.aborted
      ? cancellation(deadline.signal)
      : explainRequestFault(error instanceof StaleConnection ? error.cause : error, options.relay);
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** A kept connection may be closed by the relay just as it is used again; reading twice does no harm. */
async function sendOnceMore(options: ApiClientOptions, agent: RelayAgent, prepared: PreparedRequest): Promise<RelayAnswer> {
  try {
    return await send(options, agent, prepared);
  } catch (error) {
    if (prepared.method !== 'GET' || !(error instanceof StaleConnection)) throw error;
    return send(options, agent, prepared);
  }
}

/** A kept connection was found closed before any answer came. */
class StaleConnection extends Error {}

function send(options: ApiClientOptions, agent: RelayAgent, { method, url, extras }: PreparedRequest): Promise<RelayAnswer> {
  const body = extras.body === undefined ? undefined : Buffer.from(JSON.stringify(extras.body));
  const headers = { ...requestHeaders(options), ...(body ? { 'content-type': 'application/json' } : {}) };
  return new Promise((resolve, reject) => {
    const request = https.request(url, { method, agent, headers, ...(extras.signal ? { signal: extras.signal } : {}) });
    request.on('response', (response: IncomingMessage) => readAnswer(response, MAX_ANSWER_BYTES).then(resolve, reject));
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      reject(notTowline('an upgrade that was not asked for'));
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      reject(request.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection(error.message, { cause: error }) : error);
    });
    request.end(body);
  });
}

function requestHeaders({ userAgent, credential }: ApiClientOptions): Record<string, string> {
  return { accept: 'application/json', 'user-agent': userAgent, ...(credential ? { [credential.header]: credential.value } : {}) };
}

async function* followPages<Item>(
  readPage: (cursor: string | undefined) => Promise<ListView<Item>>,
): AsyncGenerator<Item, void, undefined> {
  let cursor: string | undefined;
  do {
    const page = await readPage(cursor);
    if (!Array.isArray(page?.items)) throw notTowline('something else than a list');
    yield* page.items;
    if (page.next && page.next === cursor)
      throw new TowlineError('protocol_error', 'The relay answers with the same page of a list again.');
    cursor = page.next ?? undefined;
  } while (cursor);
}
