import * as http from 'node:http';
import * as https from 'node:https';
import { createRelayConnector, type RelayConnector, startDeadline } from '@towline/link';
import { decodeJson, isTowlineError, printable, type TowlineError } from '@towline/protocol';
import { providerFault } from './provider-fault.ts';

/** Time for a whole exchange with the provider, milliseconds. */
const DEADLINE_MS = 5_000;
/** Hosts that connections are remembered for: a provider has its endpoints on one or two. */
const MAX_CONNECTORS = 8;
const JSON_TYPE = /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i;

/** A request to the provider. */
export interface ProviderRequest {
  readonly url: URL;
  /** Largest answer, bytes. */
  readonly maxBytes: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Posted; a request without form is a GET. */
  readonly form?: URLSearchParams;
  readonly signal: AbortSignal;
}

/** An answer of the provider. `json` of any status below 300; of the others there is none. */
export interface ProviderAnswer {
  readonly status: number;
  readonly json: unknown;
}

/** What {@link createProviderClient} takes. */
export interface ProviderClientOptions {
  readonly issuer: string;
  /** PEM text of further roots. */
  readonly ca: string | undefined;
  /** Where SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are looked up. */
  readonly environment: NodeJS.ProcessEnv;
  /** 5 s by default. */
  readonly deadlineMs?: number;
}

/** Asks the provider over verified connections: no redirects, only JSON, limited in size and time. */
export interface ProviderClient {
  /** @throws TowlineError `provider_unavailable` when there is no answer, or none that can be used: redirect, 5xx, not JSON, too long. */
  ask(request: ProviderRequest): Promise<ProviderAnswer>;
}

/** Makes a client. Roots and proxies are those of links: system, SSL_CERT_FILE, `ca`; HTTPS_PROXY and NO_PROXY. */
export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const connectors = new Map<string, RelayConnector>();
  const connectorOf = ({ origin }: URL) => {
    const known = connectors.get(origin);
    if (known !== undefined) return known;
    if (connectors.size >= MAX_CONNECTORS) connectors.clear();
    const trust = options.ca === undefined ? {} : { ca: options.ca };
    const made = createRelayConnector({ relay: new URL(origin), trust, environment: options.environment, warn: () => {} });
    connectors.set(origin, made);
    return made;
  };
  return { ask: (request) => askWithDeadline(options, connectorOf, request) };
}

async function askWithDeadline(
  { issuer, deadlineMs = DEADLINE_MS }: ProviderClientOptions,
  connectorOf: (url: URL) => RelayConnector,
  request: ProviderRequest,
): Promise<ProviderAnswer> {
  const { url } = request;
  const expired = () => providerFault(issuer, `did not answer within ${deadlineMs / 1_000} s (${url.origin}${url.pathname})`);
  const deadline = startDeadline(deadlineMs, expired, request.signal);
  try {
    const response = await send({ ...request, signal: deadline.signal }, connectorOf);
    return await readResponse(response, request, issuer);
  } catch (error) {
    if (deadline.signal.aborted) throw deadline.signal.reason;
    throw isTowlineError(error) && error.code === 'provider_unavailable' ? error : explain(issuer, url, error);
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** Connectors speak of a relay, which the provider is not; and theirs are the codes of a link. */
function explain(issuer: string, url: URL, error: unknown): TowlineError {
  const { message } = error as Error;
  return providerFault(
    issuer,
    `cannot be reached at ${url.origin}: ${message.replaceAll('the relay', 'the provider').replaceAll('The relay', 'The provider')}`,
  );
}

async function send(request: ProviderRequest, connectorOf: (url: URL) => RelayConnector): Promise<http.IncomingMessage> {
  const { url, form, signal } = request;
  const body = form === undefined ? undefined : Buffer.from(form.toString());
  const type = body === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(body.length) };
  const headers = { accept: 'application/json', connection: 'close', ...type, ...request.headers };
  const options = { method: body === undefined ? 'GET' : 'POST', headers, signal };
  if (url.protocol === 'http:') return whenAnswered(http.request(url, { ...options, agent: false }), body);
  const socket = await connectorOf(url).connect(signal);
  if (signal.aborted) socket.destroy();
  return whenAnswered(https.request(url, { ...options, createConnection: () => socket }), body);
}

function whenAnswered(request: http.ClientRequest, body: Buffer | undefined): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      reject(new Error('it answers with an upgrade'));
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function readResponse(response: http.IncomingMessage, { url, maxBytes }: ProviderRequest, issuer: string): Promise<ProviderAnswer> {
  const where = `${url.origin}${url.pathname}`;
  const fault = (what: string) => {
    response.destroy();
    return providerFault(issuer, `${what} (${where})`);
  };
  const { statusCode: status = 0, headers } = response;
  if (status >= 300 && status < 400) throw fault(`answers with a redirect to ${shown(headers.location)}, which is not followed`);
  if (status >= 500 || status < 200) throw fault(`answers with status ${status}`);
  if (status >= 400) {
    response.destroy();
    return { status, json: undefined };
  }
  if (!JSON_TYPE.test(headers['content-type'] ?? '')) throw fault(`answers with ${shown(headers['content-type'])} where JSON is expected`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw fault(`answers with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return { status, json: decodeJson(Buffer.concat(chunks), maxBytes) };
  } catch {
    throw fault('answers with a text that is not JSON');
  }
}

function shown(header: string | undefined): string {
  return header === undefined ? 'nothing' : printable(header).slice(0, 200);
}
