import type { CliHost } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { TargetRange } from '../messages.ts';
import { type Connections, createConnections } from './connections.ts';
import { createFlows, type Flows } from './flows.ts';
import { createOpenings, type Openings } from './openings.ts';
import { createReport, type Report, type Reported } from './report.ts';

/** Exit code of a program that was interrupted, which is how this one usually ends. */
const INTERRUPTED = 130;

/** What local listeners work with. */
export interface ServeParts {
  readonly openings: Openings;
  readonly connections: Connections;
  readonly flows: Flows;
  readonly report: Report;
}

/** A listener that was started. */
export interface Started {
  readonly reported: Reported;
  /** Whether other machines can reach it. */
  readonly isWide: boolean;
  /** Takes no more connections. */
  close(): void;
}

/** What is served, and how. */
export interface Serving {
  readonly device: string;
  /** Targets that must be allowed before anything listens. */
  readonly check: readonly TargetRange[];
  /** Silence after which a flow of datagrams ends, milliseconds. */
  readonly flowIdleMs: number;
  /** Starts one listener after the other. @throws TowlineError */
  start(parts: ServeParts): AsyncIterable<Started>;
}

/** Keeps a link, listens, and serves until the program is told to stop. Resolves with its exit code. @throws TowlineError */
export async function serveForwards(host: CliHost, serving: Serving): Promise<number> {
  const report = createReport(host, serving.device);
  await using link = await host.keepLink((state) => (state.state === 'up' ? report.linkUp() : report.linkDown(state.error, state.retryMs)));
  const openings = createOpenings(link);
  await openings.open({ check: [...serving.check] }, host.signal);
  const connections = createConnections(openings, report);
  const flows = createFlows(openings, report, serving.flowIdleMs);
  const started: Started[] = [];
  const close = () => {
    for (const each of started.splice(0)) each.close();
    connections.close();
    flows.close();
  };
  const reported: Reported[] = [];
  // Before the link goes: what ends with it did not fail.
  host.signal.addEventListener('abort', close, { once: true });
  try {
    for await (const each of serving.start({ openings, connections, flows, report })) {
      started.push(each);
      reported.push(each.reported);
      tell(each, report);
    }
    report.ready();
    await link.over;
    if (!host.signal.aborted) throw new TowlineError('link_closed');
    return INTERRUPTED;
  } finally {
    host.signal.removeEventListener('abort', close);
    close();
    report.statistics(reported);
  }
}

function tell({ reported, isWide }: Started, report: Report): void {
  report.listening(reported);
  if (isWide)
    report.warn(`${reported.places.join(' and ')} can be reached from other machines: whoever does so reaches ${reported.target} as you`);
}
