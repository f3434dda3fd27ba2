import { hostname } from 'node:os';
import { join } from 'node:path';
import { acquireProcessLock } from '@towline/config/process-lock';
import type { RelayConfig } from '@towline/config/relay';
import type { Clock, TowlineError } from '@towline/contract';
import { OPERATOR } from '../access/actor.ts';
import { requireOwnDomains } from '../access/email-domains.ts';
import { adminSet } from '../access/settle.ts';
import { createAuditPipeline } from '../audit/index.ts';
import { type CertificateHolder, openCertificates } from '../certificates/certificate-holder.ts';
import { createDisposalStack, type DisposalStack } from '../disposal.ts';
import { loadRelayId } from '../grants/ring.ts';
import { openGrantRing } from '../grants/watch-ring.ts';
import type { HttpServer } from '../http/server.ts';
import { type StartedPlugins, startPlugins } from '../life-cycle.ts';
import type { ClientLink } from '../links/clients.ts';
import { createDeviceRegistry } from '../links/registry.ts';
import { watchRevocations } from '../links/revocation-watch.ts';
import type { RelayLog } from '../log.ts';
import { createRelayMetrics } from '../metrics/relay-metrics.ts';
import { type PluginSources, resolvePlugins } from '../plugins/index.ts';
import { openKeyRing } from '../secrets/open-key-ring.ts';
import { sealEarlierSecrets } from '../secrets/seal-earlier.ts';
import type { StreamHandlers } from '../sessions/judge-again.ts';
import { createSessionLedger } from '../sessions/ledger.ts';
import { createLiveAccess } from '../sessions/live-access.ts';
import { createTransportListeners, type TransportListeners } from '../transports/listeners.ts';
import { openDataFolder } from './data-folder.ts';
import { writeFirstAdminKey } from './first-admin.ts';
import { startHousekeeping } from './housekeeping.ts';
import { isAnyAddress } from './listen.ts';
import { type EdgeParts, openEdge } from './open-edge.ts';
import { openToPeers } from './open-to-peers.ts';
import { placeOf, pluginEntries, pluginSources } from './plugin-entries.ts';

/** Once a day certificates are looked at, milliseconds: a leaf of our own is renewed thirty days before its end. */
const CERTIFICATES_EVERY_MS = 86_400_000;
/** Time for requests under way when the relay stops, milliseconds. */
const DRAIN_MS = 2_000;

/** What {@link startRelay} takes. */
export interface RelaySettings {
  readonly config: RelayConfig;
  readonly distribution: PluginSources['distribution'];
  readonly clock: Clock;
  readonly log: RelayLog;
  /** Gives the start up. */
  readonly signal: AbortSignal;
}

/** A relay that serves. */
export interface RunningRelay {
  /** `https://HOST:PORT` it can be reached by on this machine. */
  readonly url: string;
  /** `sha256:HEX` of the CA's public key; null without TLS. */
  readonly fingerprint: string | null;
  /** File with the first admin's key, when this start made one. */
  readonly adminKeyFile: string | null;
  /** Aborts when another process took the lock of the data folder: this relay must end. */
  readonly lost: AbortSignal;
  /** Reads the certificate files anew. Connections stay. */
  reload(): Promise<void>;
  /** Takes leave of all links and ends everything in reverse order. Answers what went wrong. */
  stop(): Promise<TowlineError[]>;
}

/** Starts a relay. Its listeners open last; after any failure everything begun is ended again. @throws TowlineError. */
export async function startRelay(settings: RelaySettings): Promise<RunningRelay> {
  const disposal = createDisposalStack();
  try {
    return await start(settings, disposal);
  } catch (error) {
    for (const fault of await disposal.disposeAll()) settings.log.error('ending what was begun failed', { error: fault });
    throw error;
  }
}

async function start(settings: RelaySettings, disposal: DisposalStack): Promise<RunningRelay> {
  const { config, clock, log, signal } = settings;
  for (const warning of config.warnings) log.warn(warning);
  const resolved = await resolvePlugins(pluginEntries(config), pluginSources(config, settings.distribution));
  await openDataFolder(config.dataDir);
  const lock = await acquireProcessLock(join(config.dataDir, 'relay.lock'));
  disposal.add('the lock of the data folder', () => lock[Symbol.asyncDispose]());
  const plugins = await startPlugins(resolved, { log, clock, dataDir: config.dataDir, baseDir: config.baseDir, signal });
  disposal.add('the plugins', () => plugins[Symbol.asyncDispose]());
  requireOwnDomains(plugins.providers.map((each, index) => ({ ...each, ...placeOf(config, config.auth[index]?.line) })));
  const { store } = plugins;
  const pipeline = createAuditPipeline({ store: store.audit, sinks: plugins.sinks, clock, log });
  disposal.add('the audit pipeline', () => pipeline[Symbol.asyncDispose]());
  const audit: EdgeParts['audit'] = (event) => pipeline.note(event);

  const onlyKeys = plugins.providers.every(({ provider }) => (provider.loginMethod?.method ?? 'api_key') === 'api_key');
  const adminKeyFile = onlyKeys ? await writeFirstAdminKey({ store, audit, clock }, config.dataDir) : null;
  const certificates = config.server.tls.enabled ? await openCertificates(certificateOptions(config, clock)) : null;

  const registry = createDeviceRegistry();
  const clients = new Set<ClientLink>();
  const joined: EdgeParts['joined'] = new Map();
  const listeners = createTransportListeners({ transports: plugins.transports, log });
  const metrics = createRelayMetrics({ registry, clients, joined, listeners });
  disposal.add('the metrics', () => metrics[Symbol.dispose]());
  const ledger = createSessionLedger({ store, announce: (event) => pipeline.write(event), audit, clock, log });
  const opened = await openKeyRing({ config, store, log });
  const keys = await sealEarlierSecrets({ store, keys: opened, dataDir: config.dataDir, log });
  const grants = await openGrantRing({ meta: store.meta, configured: config.forwardSecrets, keys, registry, log });
  const settling = { store, admins: adminSet(config.adminEmails), clock };
  const handlers: StreamHandlers = new Map(plugins.streams.map((each) => [each.handler.protocol, each]));
  const access = createLiveAccess({ store, settling, handlers, registry, log });
  const watch = await watchRevocations({ store, registry, clients, access, audit, clock, log, alsoLook: () => grants.look() });
  disposal.add('the watch on revocations', () => watch[Symbol.asyncDispose]());
  const housekeeping = startHousekeeping({ store, ledger, registry, clock, log });
  disposal.add('housekeeping', () => housekeeping[Symbol.asyncDispose]());
  const interrupted = await ledger.noteInterrupted();
  if (interrupted > 0)
    log.warn('sessions were open when the relay stopped; their devices will report their ends', { sessions: interrupted });

  let serving = true;
  const relayId = await loadRelayId(store.meta);
  const tls = certificates === null ? null : { cert: certificates.current.certPem, key: certificates.current.keyPem };
  const edge = await openEdge({
    config,
    plugins,
    audit,
    relayId,
    grants,
    keys,
    registry,
    clients,
    ledger,
    watch,
    joined,
    settling,
    handlers,
    access,
    listeners,
    metrics,
    tls,
    serving: () => serving,
    clock,
    log,
  });
  disposal.add('the HTTP edge', () => closeEdge(edge.app));
  const reload = () => reloadCertificates(certificates, { app: edge.app, listeners, log });
  const daily = setInterval(reload, CERTIFICATES_EVERY_MS);
  disposal.add('the look at certificates', () => clearInterval(daily));
  await recordStart(plugins, { audit, clock });
  const certificate = () => certificates?.current ?? null;
  const stopServing = () => {
    serving = false;
  };
  const bound = await openToPeers({ config, edge, listeners, registry, clients, certificate, stopServing, log, signal }, disposal);
  return {
    url: bound.url,
    fingerprint: certificates?.current.fingerprint ?? null,
    adminKeyFile,
    lost: lock.lost,
    reload,
    stop: () => disposal.disposeAll(),
  };
}

/** Written before the first request, which also brings the sinks up to the end of the trail. */
async function recordStart({ skipped }: StartedPlugins, { audit, clock }: { audit: EdgeParts['audit']; clock: Clock }): Promise<void> {
  await audit({ at: clock.now(), action: 'relay.started', actor: OPERATOR, outcome: 'ok' });
  for (const { name, error } of skipped) {
    await audit({
      at: clock.now(),
      action: 'audit.sink_skipped',
      actor: OPERATOR,
      outcome: 'failed',
      reason: error.code,
      detail: { sink: name },
    });
  }
}

function certificateOptions({ dataDir, server }: RelayConfig, clock: Clock): Parameters<typeof openCertificates>[0] {
  const { certFile, keyFile } = server.tls;
  return {
    dataDir,
    clock,
    hostName: hostname(),
    ...(certFile === undefined || keyFile === undefined ? {} : { configured: { certFile, keyFile } }),
    ...(server.publicUrl === undefined ? {} : { publicUrl: new URL(server.publicUrl) }),
    ...(isAnyAddress(server.host) ? {} : { names: [server.host] }),
  };
}

async function reloadCertificates(
  certificates: CertificateHolder | null,
  { app, listeners, log }: { app: HttpServer; listeners: TransportListeners; log: RelayLog },
): Promise<void> {
  if (certificates === null) return;
  const { outcome, ...rest } = await certificates.reload();
  if (outcome === 'failed') log.error('the certificates were not reloaded; the old ones stay in use', rest);
  if (outcome !== 'changed') return;
  const { certPem, keyPem } = certificates.current;
  app.server.setSecureContext({ cert: certPem, key: keyPem });
  listeners.renewCertificate({ certPem, keyPem });
  log.info('the certificates were reloaded');
}

/** Whoever only holds a connection open must not keep the relay from stopping. */
async function closeEdge(app: HttpServer): Promise<void> {
  const late = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
  await app.close();
  clearTimeout(late);
}
