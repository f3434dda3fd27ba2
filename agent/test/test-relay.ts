import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import type { ErrorView, Link, RegistrationRequest } from '@towline/contract';
import { createLink } from '@towline/link';
import { createId, ERRORS, type ErrorCode, fingerprintOf, type RegistrationId } from '@towline/protocol';
import { plugin } from '@towline/transport-tls';
import { makeTestPair } from '../../core/link/test/trust-certificates.ts';
import { RelaySide, type RelaySideOptions } from './relay-side.ts';

const pair = makeTestPair();
/** PEM of the CA that every test relay's certificate is from. */
export const caPem = pair.ca.pem;

/** A request to enrol as the relay keeps it. */
export interface TestRegistration {
  readonly id: RegistrationId;
  readonly request: RegistrationRequest;
  readonly apiKey: string | undefined;
}

/** An answer of a route: a body, or an error. */
export type Answer = { readonly body: unknown } | { readonly error: ErrorCode; readonly message?: string };

/** A real HTTPS server that speaks the relay's protocol and can be told to speak it wrongly. */
export class TestRelay {
  readonly id: string;
  readonly url: URL;
  readonly registrations: TestRegistration[] = [];
  readonly claims: { readonly registration: string; readonly signature: string }[] = [];
  /** API keys of the links that were asked for. */
  readonly linkKeys: string[] = [];
  /** Links on which the device logged in, oldest first. */
  readonly devices: RelaySide[] = [];
  /** What a claim is answered; pending until told otherwise. */
  claimAnswer: (registration: TestRegistration) => Answer = () => ({ body: { state: 'pending', poll_ms: 200 } });
  /** What a registration is answered beside being recorded. */
  registrationState: 'pending' | 'approved' = 'pending';
  /** Refuses links with an error. */
  linkError: { readonly code: ErrorCode; readonly message?: string } | undefined;
  /** Tokens of upgrades that something between answers with a page of its own. */
  readonly refusedUpgrades = new Set<string>();
  /** Tokens of upgrades whose links break before a word was said on them. */
  readonly brokenUpgrades = new Set<string>();
  /** Transport of each link that was made. */
  readonly transports: string[] = [];
  /** What is different about the relay's side of a link. */
  linkOptions: Partial<RelaySideOptions> = {};
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets = new Set<TLSSocket>();
  /** Requests whose claim was answered with something else than `pending`: the next registration makes a new one. */
  readonly #decided = new Set<string>();
  #waiting: (() => void)[] = [];

  private constructor(server: ReturnType<typeof createServer>, id: string) {
    this.#server = server;
    this.id = id;
    this.url = new URL(`https://localhost:${(server.address() as AddressInfo).port}`);
    server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request, response) => void this.#route(request, response));
    server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket as TLSSocket, head));
  }

  static async start({ port = 0, id = createId() as string } = {}): Promise<TestRelay> {
    const server = createServer({ cert: pair.chainPem, key: pair.leaf.keyPem }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new TestRelay(server, id);
  }

  /** Resolves with the link of that number once the device is logged in on it. */
  async device(index = 0): Promise<RelaySide> {
    await this.until(() => this.devices.length > index);
    return this.devices[index]!;
  }

  /** Resolves once the condition holds; looked at after each request and link. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await json(request).catch(() => null)) as Record<string, unknown>;
    const claim = /^\/v1\/registrations\/([0-9a-f]{32})\/claim$/.exec(request.url ?? '');
    if (request.url === '/v1/registrations') this.#answer(response, this.#register(request, body as unknown as RegistrationRequest));
    else if (claim) this.#answer(response, this.#claim(claim[1]!, body));
    else this.#answer(response, { error: 'not_found' });
    this.#changed();
  }

  #register(request: IncomingMessage, body: RegistrationRequest): Answer {
    const same = this.registrations.find((one) => one.request.device_id === body.device_id && !this.#decided.has(one.id));
    const apiKey = request.headers['x-api-key'];
    const registration = same ?? { id: createId<RegistrationId>(), request: body, apiKey: apiKey as string | undefined };
    if (!same) this.registrations.push(registration);
    return {
      body: {
        id: registration.id,
        device_id: body.device_id,
        name: body.name,
        owner: body.owner ?? 'org:acme',
        fingerprint: fingerprintOf(body.public_key),
        facts: body.facts,
        address: '127.0.0.1',
        state: this.registrationState,
        created_at: '2030-01-01T00:00:00Z',
        expires_at: '2030-01-01T01:00:00Z',
        relay: this.id,
      },
    };
  }

  #claim(id: string, body: Record<string, unknown>): Answer {
    this.claims.push({ registration: id, signature: String(body.signature) });
    const registration = this.registrations.find((one) => one.id === id);
    if (registration === undefined) return { error: 'not_found' };
    const answer = this.claimAnswer(registration);
    if ('error' in answer || (answer.body as { state?: string }).state !== 'pending') this.#decided.add(id);
    return answer;
  }

  #answer(response: ServerResponse, answer: Answer): void {
    if ('body' in answer) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
      return;
    }
    const { status, text, hint } = ERRORS[answer.error];
    const view: ErrorView = { error: { code: answer.error, message: answer.message ?? text, hint } };
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(view));
  }

  async #upgrade(request: IncomingMessage, socket: TLSSocket, head: Buffer): Promise<void> {
    const token = request.headers.upgrade!.toLowerCase();
    if (this.refusedUpgrades.has(token)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>');
      return this.#changed();
    }
    this.linkKeys.push(String(request.headers['x-api-key']));
    if (this.linkError) {
      const { code, message = ERRORS[code].text } = this.linkError;
      const body = JSON.stringify({ error: { code, message, hint: ERRORS[code].hint } });
      const { status } = ERRORS[code];
      socket.end(
        `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
      return this.#changed();
    }
    const { upgrades = [] } = plugin.create({}, { log: silent, clock: { now: () => Date.now() } } as never);
    const upgrade = upgrades.find((one) => one.token === token)!;
    const link: Link = createLink(await upgrade.complete(request, socket, head), { role: 'opener' });
    this.transports.push(upgrade.transport);
    if (this.brokenUpgrades.has(token)) return void socket.destroy();
    const side = new RelaySide(link, { relay: this.id, ...this.linkOptions });
    // A device that does not get that far shows by its next request or event.
    side.logIn().then(
      () => {
        this.devices.push(side);
        this.#changed();
      },
      () => this.#changed(),
    );
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };
