import type { ListenerState } from '@towline/contract';
import { register } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { ClientLink } from '../src/links/clients.ts';
import type { DeviceLink } from '../src/links/registry.ts';
import { createRelayMetrics } from '../src/metrics/relay-metrics.ts';
import type { NamedListenerState } from '../src/transports/listeners.ts';

const device = (transport: string, ready = true) => ({ transport, ready }) as DeviceLink;
const client = (transport: string) => ({ transport }) as ClientLink;
const quic = (state: Partial<ListenerState>): NamedListenerState => ({ name: 'quic', state: { status: 'up', figures: {}, ...state } });

/** What the figures are read from, for a test to change. */
function createWorld() {
  const world = {
    devices: [] as DeviceLink[],
    clients: new Set<ClientLink>(),
    sessions: new Map<string, unknown>(),
    states: [] as NamedListenerState[],
  };
  const metrics = createRelayMetrics({
    registry: { all: () => world.devices },
    clients: world.clients,
    joined: world.sessions,
    listeners: {
      get states() {
        return world.states;
      },
    },
  });
  return { world, metrics };
}

/** Figures are told for a second without being read anew. */
const stale = () => new Promise((later) => setTimeout(later, 1_050));

describe('the figures of a relay', () => {
  it('count links by kind and transport, and tell zero where there were some', async () => {
    const { world, metrics } = createWorld();
    world.devices.push(device('tls'), device('tls'), device('quic'), device('quic', false));
    world.clients.add(client('websocket'));
    world.sessions.set('one', null);
    const text = await metrics.text();
    for (const line of [
      'towline_links{kind="device",transport="tls"} 2',
      'towline_links{kind="device",transport="quic"} 1',
      'towline_links{kind="client",transport="websocket"} 1',
      'towline_sessions_open 1',
    ])
      expect(text.split('\n')).toContain(line);
    world.devices.splice(0);
    await stale();
    expect(await metrics.text()).toContain('towline_links{kind="device",transport="tls"} 0');
    metrics[Symbol.dispose]();
  });

  it('hold what listeners tell: counters by their name, nothing of a listener that is gone', async () => {
    const { world, metrics } = createWorld();
    world.states.push(quic({ figures: { restarts_total: 3, connections: 12, up: 9 } }));
    const first = await metrics.text();
    expect(first).toContain('# TYPE towline_transport_restarts_total counter\ntowline_transport_restarts_total{transport="quic"} 3');
    expect(first).toContain('# TYPE towline_transport_connections gauge\ntowline_transport_connections{transport="quic"} 12');
    expect(first).toContain('towline_transport_up{transport="quic"} 1');
    world.states.splice(0, 1, quic({ status: 'down', figures: { restarts_total: 4 } }));
    await stale();
    const second = await metrics.text();
    expect(second).toContain('towline_transport_restarts_total{transport="quic"} 4');
    expect(second).toContain('towline_transport_up{transport="quic"} 0');
    expect(second).not.toMatch(/towline_transport_connections\{/);
    metrics[Symbol.dispose]();
  });

  it('are bounded, whatever names a listener makes up', async () => {
    const { world, metrics } = createWorld();
    world.states.push(quic({ figures: Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`figure_${at}`, at])) }));
    expect((await metrics.text()).match(/^towline_transport_figure_/gm)).toHaveLength(128);
    metrics[Symbol.dispose]();
  });

  it('tell how the process is, and leave the registry of the library alone', async () => {
    const [one, two] = [createWorld().metrics, createWorld().metrics];
    const text = await one.text();
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'process_start_time_seconds',
      'nodejs_eventloop_lag_p99_seconds',
    ])
      expect(Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]), name).toBeGreaterThanOrEqual(0);
    expect(one.contentType).toContain('text/plain');
    expect(register.getMetricsAsArray()).toEqual([]);
    for (const metrics of [one, two]) metrics[Symbol.dispose]();
  });
});
