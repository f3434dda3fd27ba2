import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a path of the provider can be made to do in place of its work. */
export type OidcFault =
  | 'html'
  | 'error'
  | 'hang'
  /** Valid JSON that never ends, as fast as it is read. */
  | 'endless'
  /** One byte a second. */
  | 'drip'
  | 'reset'
  | { readonly redirect: string }
  /** Sent with status 200, or the one given, as application/json. */
  | { readonly json: unknown; readonly status?: number };

const CHUNK = `"${'x'.repeat(65_536)}",`;
const DRIP_MS = 1_000;

/** Answers a request with a fault. */
export function answerWithFault(fault: OidcFault, request: IncomingMessage, response: ServerResponse): void {
  if (typeof fault === 'object') return answerWithValue(fault, response);
  if (fault === 'hang') return;
  if (fault === 'reset') return void request.socket.destroy();
  if (fault === 'endless') return endless(response);
  if (fault === 'drip') return drip(response);
  const status = fault === 'html' ? 200 : 500;
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  response.end(`<!DOCTYPE html><html><body><h1>${status === 200 ? 'Please sign in' : 'Internal Server Error'}</h1></body></html>`);
}

function answerWithValue(fault: Exclude<OidcFault, string>, response: ServerResponse): void {
  if ('redirect' in fault) return void response.writeHead(302, { location: fault.redirect }).end();
  response.writeHead(fault.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(fault.json));
}

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  const more = () => {
    while (!response.destroyed && response.write(CHUNK));
  };
  response.on('drain', more);
  response.write('[');
  more();
}

function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.write('[');
  const timer = setInterval(() => response.write(' '), DRIP_MS);
  response.on('close', () => clearInterval(timer));
}
