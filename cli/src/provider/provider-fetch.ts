import * as http from 'node:http';
import * as https from 'node:https';
import { isIP } from 'node:net';
import { createRelayConnector, type RelayConnector, startDeadline } from '@towline/link';
import { isTowlineError, TowlineError } from '@towline/protocol';
import type { CustomFetch, CustomFetchOptions } from 'openid-client';
import type { Host } from '../host.ts';
import { shown } from '../output/terminal-text.ts';
import { readCaFile } from '../relay/settings.ts';

/** Time for one request, connection included, milliseconds: less than others wait for the lock under which a token is renewed. */
const REQUEST_DEADLINE_MS = 8_000;
/** Largest answer, bytes: metadata and keys of large providers have some ten KB. */
const MAX_ANSWER_BYTES = 1_048_576;

/** What requests to an identity provider go by. */
export interface ProviderNetwork {
  /** Where HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS are looked up. */
  readonly env: Host['env'];
  /** Ends requests under way; left out where one must not be cut off. */
  readonly signal?: AbortSignal;
}

/**
 * Requests to an identity provider: over TLS, verified by the roots of the system, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS, and
 * by nothing that was said about the relay; through the proxy of the environment; never redirected; bounded in size and time.
 * Plain HTTP reaches this machine only. It fails with a TowlineError: `provider_unavailable`, `config_invalid`, `cancelled`.
 */
export function createProviderFetch(network: ProviderNetwork): CustomFetch {
  const connectors = new Map<string, Promise<RelayConnector>>();
  const connectorOf = (url: URL) => {
    const known = connectors.get(url.origin) ?? createConnector(url, network.env);
    connectors.set(url.origin, known);
    return known;
  };
  return async (text, options) => {
    const url = parseProviderUrl(text);
    const late = () => unavailable(url, `did not answer within ${REQUEST_DEADLINE_MS / 1_000} s`);
    const parents = [network.signal, options.signal].filter((signal) => signal !== undefined);
    using deadline = startDeadline(REQUEST_DEADLINE_MS, late, AbortSignal.any(parents));
    try {
      const connector = url.protocol === 'https:' ? await connectorOf(url) : undefined;
      return await send(url, options, { connector, signal: deadline.signal });
    } catch (error) {
      throw deadline.signal.aborted ? deadline.signal.reason : explain(error, url);
    }
  };
}

/** A URL of a provider that may be used: https, or http to this very machine; no user name, which reads as a host. @throws TowlineError `provider_unavailable`. */
export function parseProviderUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const anonymous = url !== undefined && url.username === '' && url.password === '';
  if (anonymous && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname)))) return url;
  throw new TowlineError('provider_unavailable', `The identity provider is named with ${shown(text, 200)}, which is no https:// URL.`, {
    hint: 'Tell the operator of the relay: without TLS the login would be readable on the way.',
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'));
}

async function createConnector(url: URL, env: Host['env']): Promise<RelayConnector> {
  const extra = env.NODE_EXTRA_CA_CERTS;
  const trust = extra ? { ca: await readCaFile(extra, 'NODE_EXTRA_CA_CERTS') } : {};
  // Nothing is ever unverified here, so there is nothing to warn of.
  return createRelayConnector({ relay: new URL(url.origin), trust, environment: env, warn: () => {} });
}

interface Sending {
  readonly connector: RelayConnector | undefined;
  readonly signal: AbortSignal;
}

async function send(url: URL, { method, headers, body }: CustomFetchOptions, { connector, signal }: Sending): Promise<Response> {
  const socket = await connector?.connect(signal);
  const common = { method, headers, signal, agent: false as const };
  return new Promise((resolve, reject) => {
    // Without an agent the connection ends with the answer: what is asked of a provider is seconds apart.
    const request = socket ? https.request(url, { method, headers, signal, createConnection: () => socket }) : http.request(url, common);
    request.on('response', (answer) => readAnswer(url, answer).then(resolve, reject));
    request.on('upgrade', (_answer, upgraded) => {
      upgraded.destroy();
      reject(unavailable(url, 'answered with an upgrade that was not asked for'));
    });
    request.on('error', reject);
    request.end(body === undefined || body === null ? undefined : String(body));
  });
}

async function readAnswer(url: URL, answer: http.IncomingMessage): Promise<Response> {
  const { statusCode: status = 0, headers } = answer;
  if (status >= 300 && status < 400) throw unavailable(url, `answered with a redirect (${status})`);
  if (status < 200 || status >= 500) throw unavailable(url, `answered with status ${status}`);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw unavailable(url, `sent an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  const kept = ['content-type', 'retry-after', 'www-authenticate'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value] as [string, string]] : [];
  });
  return new Response(status === 204 || status === 205 ? null : Buffer.concat(chunks), { status, headers: kept });
}

/** A fault of the provider. `what` completes "The identity provider HOST …". */
export function unavailable({ host }: URL, what: string, cause?: unknown): TowlineError {
  return new TowlineError('provider_unavailable', `The identity provider ${shown(host, 255)} ${what}.`, { cause });
}

/** The connector speaks of relays, where its errors speak of the other end at all. */
function explain(error: unknown, url: URL): TowlineError {
  if (!isTowlineError(error)) {
    const { code, message } = error as NodeJS.ErrnoException;
    return unavailable(url, `cannot be reached (${code ?? shown(message, 80)})`, error);
  }
  if (error.code === 'relay_untrusted') {
    return new TowlineError('provider_unavailable', error.message.replace('of the relay', `of the identity provider ${url.host}`), {
      hint: 'For a private CA name its file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS; --ca is for the relay alone.',
      cause: error,
    });
  }
  if (error.code !== 'relay_unreachable' && error.code !== 'relay_not_towline') return error;
  return new TowlineError('provider_unavailable', `The identity provider cannot be reached: ${error.message}`, { cause: error });
}
