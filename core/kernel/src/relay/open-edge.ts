import type { IncomingHttpHeaders } from 'node:http';
import type { RelayConfig } from '@towline/config/relay';
import type { AuditEvent, ByteStream, Clock, Log } from '@towline/contract';
import { type TowlineError, toTowlineError } from '@towline/contract';
import { type Authenticator, createAuthenticator } from '../access/authenticate.ts';
import { type SettleParts, settle } from '../access/settle.ts';
import type { GrantRingHolder } from '../grants/watch-ring.ts';
import { type RefusedCredentials, recordRefusedCredentials } from '../http/refused-credentials.ts';
import { aboutRoutes } from '../http/routes/about.ts';
import { auditRoutes } from '../http/routes/audit.ts';
import { deviceRoutes } from '../http/routes/devices.ts';
import { keyRoutes } from '../http/routes/keys.ts';
import { organisationRoutes } from '../http/routes/organisations.ts';
import { registrationRoutes } from '../http/routes/registrations.ts';
import { secretRoutes } from '../http/routes/secrets.ts';
import { sessionRoutes } from '../http/routes/sessions.ts';
import { sharingRoutes } from '../http/routes/sharing.ts';
import { tokenRoutes } from '../http/routes/token.ts';
import { userRoutes } from '../http/routes/users.ts';
import { AUTHENTICATE_MS, createHttpServer, type HttpServer } from '../http/server.ts';
import { type LinkEntrance, linkUpgrades } from '../http/upgrade.ts';
import type { StartedPlugins } from '../life-cycle.ts';
import type { ClientRegistry } from '../links/clients.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { createReportedSessions } from '../links/reported-sessions.ts';
import type { RevocationWatch } from '../links/revocation-watch.ts';
import { serveClient } from '../links/serve-client.ts';
import { type AcceptedLink, serveDevice } from '../links/serve-device.ts';
import type { RelayMetrics } from '../metrics/relay-metrics.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { serveOpening } from '../sessions/gateway.ts';
import type { StreamHandlers } from '../sessions/judge-again.ts';
import type { SessionLedger } from '../sessions/ledger.ts';
import type { LiveAccess } from '../sessions/live-access.ts';
import { createOpeningGuard } from '../sessions/opening-guard.ts';
import type { TransportListeners } from '../transports/listeners.ts';

/** Everything that has started when the edge opens. */
export interface EdgeParts {
  readonly config: RelayConfig;
  readonly plugins: StartedPlugins;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly relayId: string;
  readonly grants: GrantRingHolder;
  /** What secrets in the store are encrypted with. */
  readonly keys: KeyRing;
  readonly registry: DeviceRegistry;
  readonly clients: ClientRegistry;
  readonly ledger: SessionLedger;
  readonly watch: RevocationWatch;
  /** How to break the streams of each session that the relay carries. */
  readonly joined: Map<string, (error: TowlineError) => void>;
  readonly settling: SettleParts;
  readonly handlers: StreamHandlers;
  readonly access: LiveAccess;
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
  const changed = (id: string) => {
    parts.access.note({ kind: 'user', id, message: 'The last login proves less than the one before.' });
    return parts.access.enforce();
  };
  const authenticator = createAuthenticator(providers, { ...parts.settling, changed, log });
  const onRefused = recordRefusedCredentials(parts);
  const app = await createHttpServer({
    authenticator,
    onRefused,
    log,
    trustedProxies: config.server.trustedProxies,
    tls: parts.tls,
  });
  const enrolment = { ...parts, store, limits: config.enrolment, grantKeys: () => parts.grants.ring.published };
  const loginMethods = providers.flatMap(({ provider }) => provider.loginMethod ?? []);
  aboutRoutes(app, { store, loginMethods, serving, listeners, metrics });
  registrationRoutes(app, { ...enrolment, registry });
  const changing = { ...enrolment, registry, enforce: () => parts.watch.look() };
  deviceRoutes(app, changing);
  sharingRoutes(app, changing);
  userRoutes(app, changing);
  organisationRoutes(app, changing);
  keyRoutes(app, changing);
  secretRoutes(app, changing);
  tokenRoutes(app, { ...changing, providers });
  sessionRoutes(app, { store, registry, audit: parts.audit, joined, clock: parts.clock });
  auditRoutes(app, { store, clock: parts.clock });
  const entrance = linkUpgrades(app, { transports: plugins.transports, serving, log, ...linkServing(parts, { authenticator, onRefused }) });
  return { app, entrance };
}

function linkServing(parts: EdgeParts, { authenticator, onRefused }: { authenticator: Authenticator; onRefused: RefusedCredentials }) {
  const { plugins, registry, clients, ledger, joined, access, handlers, settling, audit, clock, log, relayId, grants, keys, config } =
    parts;
  const { store } = plugins;
  const judging = { store, settling, handlers, joined, log };
  const gateway = {
    ...{ ...judging, registry, ledger, audit, access, keys, clock, limits: config.sessions, guard: createOpeningGuard() },
    grants: () => grants.ring,
  };
  const reported = createReportedSessions(judging);
  const serveStream = (stream: ByteStream, { credential, peer }: AcceptedLink) =>
    serveOpening(gateway, stream, { credential, address: peer.address });
  // A revocation between the request and the link's place among the live ones would have missed it: look again.
  const recheck = async ({ credential }: AcceptedLink) => void (await settle(settling, credential.claimed));
  const authenticate = (headers: IncomingHttpHeaders, { peer }: AcceptedLink) =>
    authenticator.authenticate(headers, AbortSignal.timeout(AUTHENTICATE_MS)).catch((error: unknown) => {
      onRefused(peer.address, toTowlineError(error));
      throw error;
    });
  const afterRenewal = ({ credential }: AcceptedLink) => {
    access.noteRenewed(credential);
    return access.enforce();
  };
  const deviceParts = { relayId, store, registry, ledger, joined, reported, audit, grantKeys: () => grants.ring.published, clock, log };
  const clientParts = { clients, recheck, authenticate, afterRenewal, serveStream, clock, log };
  return {
    serveDevice: (accepted: AcceptedLink) => serveDevice(deviceParts, accepted),
    serveClient: (accepted: AcceptedLink) => serveClient(clientParts, accepted),
  };
}
