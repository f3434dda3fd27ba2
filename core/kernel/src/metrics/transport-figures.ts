import { Counter, Gauge, type Registry } from 'prom-client';
import type { TransportListeners } from '../transports/listeners.ts';

/** Names of figures that are told: a plugin that makes up new ones without end must not fill the memory. */
const MAX_NAMES = 128;
const LABELS = ['transport'] as const;
type Metric = Counter<'transport'> | Gauge<'transport'>;

/**
 * Tells whether each listener is up, and its figures as `towline_transport_<name>`: counters where the name ends in
 * `_total`, gauges otherwise. Answers what reads them anew, before the registry is read: names may be new.
 */
export function addTransportFigures(registry: Registry, listeners: Pick<TransportListeners, 'states'>): () => void {
  const figures = new Map<string, Metric>();
  const registers = [registry];
  const metricOf = (figure: string): Metric | null => {
    const known = figures.get(figure);
    if (known !== undefined) return known;
    // Taken by the one below.
    if (figure === 'up' || figures.size >= MAX_NAMES) return null;
    const text = { name: `towline_transport_${figure}`, help: 'A figure of the transports that have a listener.', labelNames: LABELS };
    const made = figure.endsWith('_total') ? new Counter({ ...text, registers }) : new Gauge({ ...text, registers });
    figures.set(figure, made);
    return made;
  };
  const up = new Gauge({
    name: 'towline_transport_up',
    help: 'Whether the listener of a transport is up (1) or not (0).',
    labelNames: LABELS,
    registers,
  });
  return () => {
    for (const metric of [up, ...figures.values()]) metric.reset();
    for (const { name: transport, state } of listeners.states) {
      up.set({ transport }, state.status === 'up' ? 1 : 0);
      for (const [figure, value] of Object.entries(state.figures)) metricOf(figure)?.inc({ transport }, value);
    }
  };
}
