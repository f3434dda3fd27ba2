import type { RelayConfig } from '@towline/config/relay';
import type { AuditEvent, ByteStream, Clock, Log } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createAuthenticator } from '../access/authenticate.ts';
import type { GrantRingHolder } from '../grants/watch-ring.ts';
import { recordRefusedCredentials } from '../http/refused-credentials.ts';
import { aboutRoutes } from '../http/routes/about.ts';
import { auditRoutes } from '../http/routes/audit.ts';
import { deviceRoutes } from '../http/routes/devices.ts';
import { registrationRoutes } from '../http/routes/registrations.ts';
import { sessionRoutes } from '../http/routes/sessions.ts';
import { createHttpServer, type HttpServer } from '../http/server.ts';
import { type LinkEntrance, linkUpgrades } from '../http/upgrade.ts';
import type { StartedPlugins } from '../life-cycle.ts';
import type { ClientRegistry } from '../links/clients.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import type { RevocationWatch } from '../links/revocation-watch.ts';
import { serveClient } from '../links/serve-client.ts';
import { type AcceptedLink, serveDevice } from '../links/serve-device.ts';
import type { RelayMetrics } from '../metrics/relay-metrics.ts';
import { serveOpening } from '../sessions/gateway.ts';
import type { SessionLedger } from '../sessions/ledger.ts';
import { createOpeningGuard } from '../sessions/opening-guard.ts';
import type { TransportListeners } from '../transports/listeners.ts';

/** Everything that has started when the edge opens. */
export interface EdgeParts {
  readonly config: RelayConfig;
  readonly plugins: StartedPlugins;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly relayId: string;
  readonly grants: GrantRingHolder;
  readonly registry: DeviceRegistry;
  readonly clients: ClientRegistry;
  readonly ledger: SessionLedger;
  readonly watch: RevocationWatch;
  /** How to break the streams of each session that the relay carries. */
  readonly joined: Map<string, (error: TowlineError) => void>;
  readonly listeners: TransportListeners;
  readonly metrics: RelayMetrics;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly serving: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** The HTTP edge with all routes, not yet listening, and the way in for links. */
export interface Edge {
  readonly app: HttpServer;
  readonly entrance: LinkEntrance;
}

/** Opens the edge. */
export async function openEdge(parts: EdgeParts): Promise<Edge> {
  const { config, plugins, log, registry, joined, serving, listeners, metrics } = parts;
  const { store, providers } = plugins;
  const authenticator = createAuthenticator(providers, config.adminEmails);
  const app = await createHttpServer({
    authenticator,
    onRefused: recordRefusedCredentials(parts),
    log,
    trustedProxies: config.server.trustedProxies,
    tls: parts.tls,
  });
  const enrolment = { ...parts, store, limits: config.enrolment, grantKeys: () => parts.grants.ring.published };
  const loginMethods = providers.flatMap(({ provider }) => provider.loginMethod ?? []);
  aboutRoutes(app, { store, loginMethods, serving, listeners, metrics });
  registrationRoutes(app, { ...enrolment, registry });
  deviceRoutes(app, { ...enrolment, registry, enforce: () => parts.watch.look() });
  sessionRoutes(app, { store, registry, audit: parts.audit, joined, clock: parts.clock });
  auditRoutes(app, { store });
  const entrance = linkUpgrades(app, { transports: plugins.transports, serving, log, ...linkServing(parts) });
  return { app, entrance };
}

function linkServing(parts: EdgeParts) {
  const { plugins, registry, clients, ledger, joined, audit, clock, log, relayId, grants } = parts;
  const { store, streams } = plugins;
  const handlers = new Map(streams.map(({ name, handler }) => [handler.protocol, { name, handler }]));
  const gateway = { store, registry, ledger, audit, handlers, guard: createOpeningGuard(), joined, grants: () => grants.ring, clock, log };
  const serveStream = (stream: ByteStream, { principal, peer }: AcceptedLink) =>
    serveOpening(gateway, stream, { principal, address: peer.address });
  const recheck = ({ principal }: AcceptedLink) => refuseRevokedKey(parts, principal.keyId);
  return {
    serveDevice: (accepted: AcceptedLink) =>
      serveDevice({ relayId, store, registry, ledger, joined, audit, grantKeys: () => grants.ring.published, clock, log }, accepted),
    serveClient: (accepted: AcceptedLink) => serveClient({ clients, recheck, serveStream, clock, log }, accepted),
  };
}

/** A revocation between the request and the link's place among the live ones would have missed it: look again. */
async function refuseRevokedKey({ plugins }: EdgeParts, keyId: AcceptedLink['principal']['keyId']): Promise<void> {
  if (keyId === undefined) return;
  const key = await plugins.store.keys.get(keyId, SYSTEM_SCOPE);
  if (key === null || key.revokedAt !== undefined) throw new TowlineError('key_revoked');
}
