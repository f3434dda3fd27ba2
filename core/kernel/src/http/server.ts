import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Duplex } from 'node:stream';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import { type Log, type Principal, TowlineError, toTowlineError } from '@towline/contract';
import { TLS_POLICY } from '@towline/link';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from 'fastify';
import fastifyPlugin from 'fastify-plugin';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Authenticator } from '../access/authenticate.ts';
import { answerError, answerNotFound, answerUnreadable } from './errors.ts';
import type { RefusedCredentials } from './refused-credentials.ts';

/** Largest body of a request, bytes: ours are small objects. */
const MAX_BODY = 262_144;
/** Time for a TLS handshake and for the head of a request, milliseconds: whoever is slower is not served. */
export const STRANGER_DEADLINE_MS = 5_000;
/** How often the server looks for connections past their deadline, milliseconds; Node's own 30 s would stretch every deadline by as much. */
const CHECKING_MS = 1_000;
/** Time for the auth plugins to judge a credential, milliseconds. */
export const AUTHENTICATE_MS = 10_000;

/** The HTTP edge, typed for zod schemas. */
export type HttpServer = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/**
 * How a route lets requests in: with the credential of a user or a device, with that of an enrolment key or none,
 * or whoever asks, where no credential is looked at.
 */
export type RouteAccess = 'user' | 'device' | 'enrolment' | 'anyone';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route at all: holders of a user credential unless it says otherwise. */
    access?: RouteAccess;
  }
  interface FastifyRequest {
    /** Who asks; null on routes for anyone, and on those for enrolment when no credential came. */
    principal: Principal | null;
    /** The same as the provider gave it, before the store was asked: what lives longer than the request is judged by it again. */
    claimed: Principal | null;
  }
}

/** What the edge works with. */
export interface HttpSettings {
  readonly authenticator: Authenticator;
  /** Told of credentials that were presented and refused. */
  readonly onRefused: RefusedCredentials;
  readonly log: Log;
  readonly trustedProxies: readonly string[];
  /** Certificate chain and key, PEM; null without TLS (loopback only). */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

/** Makes the edge, without routes and not yet listening. */
export async function createHttpServer(settings: HttpSettings): Promise<HttpServer> {
  const { tls } = settings;
  const app = Fastify({
    ...(tls === null
      ? { http: { connectionsCheckingInterval: CHECKING_MS } }
      : {
          https: {
            ...TLS_POLICY,
            ...tls,
            honorCipherOrder: true,
            handshakeTimeout: STRANGER_DEADLINE_MS,
            connectionsCheckingInterval: CHECKING_MS,
          },
        }),
    logger: false,
    bodyLimit: MAX_BODY,
    requestTimeout: 30_000,
    keepAliveTimeout: 120_000,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Duplex) => answerUnreadable(error, socket),
    routerOptions: { maxParamLength: 512 },
    // Links end before the server closes; what is idle then may go.
    forceCloseConnections: 'idle',
  } as Parameters<typeof Fastify>[0]) as unknown as HttpServer;
  app.server.headersTimeout = STRANGER_DEADLINE_MS;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, _request, reply) => answerError(error, reply, settings.log));
  app.setNotFoundHandler((_request, reply) => answerNotFound(reply));
  await app.register(fastifyPlugin((instance) => decorate(instance as unknown as HttpServer, settings)));
  await app.register(rateLimit, { global: false, errorResponseBuilder: () => new TowlineError('rate_limited') });
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Towline relay', version: '1' } },
    transform: jsonSchemaTransform,
  });
  return app;
}

/** The principal of a request on a route that is not for anyone. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new TowlineError('unauthenticated');
  return request.principal;
}

/** The same as the provider gave it. */
export function claimedOf(request: FastifyRequest): Principal {
  if (request.claimed === null) throw new TowlineError('unauthenticated');
  return request.claimed;
}

const NEEDED = Object.freeze({
  user: 'the credential of a user',
  device: 'the API key of a device',
  enrolment: 'an enrolment key, or no credential at all',
} as const satisfies Record<Exclude<RouteAccess, 'anyone'>, string>);

async function decorate(app: HttpServer, { authenticator, onRefused }: HttpSettings): Promise<void> {
  app.decorateRequest('principal', null);
  app.decorateRequest('claimed', null);
  // After the limits of routes, which count what is refused as well: nobody tries credentials faster than they allow.
  app.addHook('preParsing', async (request) => {
    const access = request.routeOptions.config.access ?? 'user';
    refuseRepeated(request);
    if (access === 'anyone' || (access === 'enrolment' && !hasCredential(request))) return;
    const { claimed, principal } = await authenticator
      .authenticate(request.headers, AbortSignal.timeout(AUTHENTICATE_MS))
      .catch((error: unknown) => {
        if (hasCredential(request)) onRefused(request.ip, toTowlineError(error));
        throw error;
      });
    if (principal.kind !== access) throw new TowlineError('key_wrong_kind', `This needs ${NEEDED[access]}.`);
    request.principal = principal;
    request.claimed = claimed;
  });
}

/** Of two headers of a name Node shows the first: which credential counts must not depend on that. */
function refuseRepeated({ raw }: FastifyRequest): void {
  for (const name of ['authorization', 'x-api-key']) {
    if ((raw.headersDistinct[name]?.length ?? 0) > 1)
      throw new TowlineError('invalid_request', `The request carries the header ${name} more than once.`);
  }
}

function hasCredential({ headers }: FastifyRequest): boolean {
  return headers.authorization !== undefined || headers['x-api-key'] !== undefined;
}
