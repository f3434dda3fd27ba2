import { Gauge, Registry } from 'prom-client';
import type { ClientRegistry } from '../links/clients.ts';
import type { DeviceRegistry } from '../links/registry.ts';
import type { TransportListeners } from '../transports/listeners.ts';
import { addProcessMetrics } from './process-metrics.ts';
import { addTransportFigures } from './transport-figures.ts';

/** How long figures are told without being read anew, milliseconds: anybody may ask, and must not keep the relay busy. */
const FRESH_MS = 1_000;

/** What the figures are read from. */
export interface MetricsParts {
  readonly registry: Pick<DeviceRegistry, 'all'>;
  readonly clients: ClientRegistry;
  /** Sessions that the relay carries now. */
  readonly joined: { readonly size: number };
  readonly listeners: Pick<TransportListeners, 'states'>;
}

/** The figures of a relay, for Prometheus. Counts only: nothing in them names a device, a person or an address. */
export interface RelayMetrics extends Disposable {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Begins to collect. Ended by disposing. */
export function createRelayMetrics(parts: MetricsParts): RelayMetrics {
  const registry = new Registry();
  const processMetrics = addProcessMetrics(registry);
  addLinks(registry, parts);
  const readTransports = addTransportFigures(registry, parts.listeners);
  let read: { readonly atMs: number; readonly text: Promise<string> } | null = null;
  return {
    contentType: registry.contentType,
    text() {
      const nowMs = performance.now();
      if (read !== null && nowMs - read.atMs < FRESH_MS) return read.text;
      readTransports();
      read = { atMs: nowMs, text: registry.metrics() };
      return read.text;
    },
    [Symbol.dispose]: () => processMetrics[Symbol.dispose](),
  };
}

function addLinks(register: Registry, { registry, clients, joined }: MetricsParts): void {
  const registers = [register];
  // Pairs that there were stay: a series that ends in nothing looks like a relay that cannot be reached.
  const counts = new Map<string, { readonly kind: 'device' | 'client'; readonly transport: string; links: number }>();
  const count = (kind: 'device' | 'client', transport: string) => {
    const name = `${kind} ${transport}`;
    const known = counts.get(name) ?? { kind, transport, links: 0 };
    known.links += 1;
    counts.set(name, known);
  };
  new Gauge({
    name: 'towline_links',
    help: 'Links that are open, by who is on them and how they came.',
    labelNames: ['kind', 'transport'] as const,
    registers,
    collect() {
      for (const pair of counts.values()) pair.links = 0;
      for (const { ready, transport } of registry.all()) if (ready) count('device', transport);
      for (const { transport } of clients) count('client', transport);
      for (const { kind, transport, links } of counts.values()) this.set({ kind, transport }, links);
    },
  });
  new Gauge({
    name: 'towline_sessions_open',
    help: 'Sessions that the relay carries.',
    registers,
    collect() {
      this.set(joined.size);
    },
  });
}
