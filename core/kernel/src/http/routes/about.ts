import type { LoginMethod, Store } from '@towline/contract';
import type { RelayMetrics } from '../../metrics/relay-metrics.ts';
import type { TransportListeners } from '../../transports/listeners.ts';
import { type HttpServer, principalOf } from '../server.ts';
import { meView } from '../views.ts';

/** What the routes about the relay itself work with. */
export interface AboutParts {
  readonly store: Store;
  readonly loginMethods: readonly LoginMethod[];
  /** False while the relay drains. */
  readonly serving: () => boolean;
  readonly listeners: Pick<TransportListeners, 'states'>;
  readonly metrics: RelayMetrics;
}

/** Routes about the relay and about whoever asks. */
export function aboutRoutes(app: HttpServer, parts: AboutParts): void {
  const anyone = { config: { access: 'anyone' as const } };

  app.get('/healthz', anyone, () => ({ status: 'ok' }));

  app.get('/readyz', anyone, async (_request, reply) => {
    const ready =
      parts.serving() &&
      (await parts.store.ping().then(
        () => true,
        () => false,
      ));
    return reply.status(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', ...transportStates(parts) });
  });

  // Scrapers bring no credential; the figures are counts and name nobody.
  app.get('/metrics', anyone, async (_request, reply) => reply.type(parts.metrics.contentType).send(await parts.metrics.text()));

  app.get('/openapi.json', { config: { access: 'anyone' }, schema: { hide: true } }, () => app.swagger());

  app.get('/v1/login-methods', anyone, () => ({ items: parts.loginMethods, next: null }));

  app.get('/v1/me', (request) => meView(principalOf(request)));
}

/** Transports that have a listener of their own. One that is down does not make the relay less ready: its links come another way. */
function transportStates({ listeners }: AboutParts): { readonly transports?: object } {
  const states = listeners.states.map(({ name, state: { status, detail } }) => [
    name,
    { status, ...(detail === undefined ? {} : { detail }) },
  ]);
  return states.length === 0 ? {} : { transports: Object.fromEntries(states) };
}
