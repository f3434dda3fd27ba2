import type { RelayConfig } from '@towline/config/relay';
import { type Log, type RelayCertificate, TowlineError } from '@towline/contract';
import type { DisposalStack } from '../disposal.ts';
import type { ClientRegistry } from '../links/clients.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import { createDoor } from '../transports/door.ts';
import type { TransportListeners } from '../transports/listeners.ts';
import { type Bound, listen } from './listen.ts';
import type { Edge } from './open-edge.ts';

/** Time for links to take leave when the relay stops, milliseconds. */
const LEAVE_MS = 2_000;

/** What the relay opens with. */
export interface OpeningParts {
  readonly config: RelayConfig;
  readonly edge: Edge;
  readonly listeners: TransportListeners;
  readonly registry: DeviceRegistry;
  readonly clients: ClientRegistry;
  readonly certificate: () => RelayCertificate | null;
  /** From here on requests for links are refused. */
  readonly stopServing: () => void;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Opens the port of the API, then the listeners of transports, which need its number. When the relay stops, links take
 * leave first: what they say passes through the listener that they came by, and no new ones are let in meanwhile.
 * @throws TowlineError of the first that cannot be opened.
 */
export async function openToPeers(parts: OpeningParts, disposal: DisposalStack): Promise<Bound> {
  const { config, edge, listeners, certificate, log, signal } = parts;
  const door = createDoor({ entrance: edge.entrance, log });
  disposal.add('the connections by listeners of transports', () => door.close());
  disposal.add('the listeners of transports', () => listeners.close());
  disposal.add('the links', () => takeLeave(parts));
  const bound = await listen(edge.app, config);
  await listeners.open({ host: config.server.host, port: bound.port, certificate, accept: door.accept }, signal);
  return bound;
}

async function takeLeave({ edge, registry, clients, stopServing }: OpeningParts): Promise<void> {
  stopServing();
  edge.app.server.close();
  const stopping = new TowlineError('unavailable', 'The relay is stopping.');
  const leaving = [...registry.all(), ...clients].map((link) => link.dismiss(stopping.code, stopping.message));
  // Then those that have no place yet, whose peers have nothing to be told it by.
  const left = Promise.all(leaving).then(() => edge.entrance.closeLinks(stopping));
  await Promise.race([left, new Promise((late) => setTimeout(late, LEAVE_MS).unref())]);
}
