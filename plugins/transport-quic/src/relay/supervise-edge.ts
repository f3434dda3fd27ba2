import type { ListenerState, Log, RelayCertificate } from '@towline/contract';
import type { EdgeStart } from '../edge/edge-messages.ts';
import { createBufferAdvice } from './buffer-advice.ts';
import { type EdgeOpening, type EdgeProcess, startEdgeProcess } from './edge-process.ts';
import type { EdgeRecord } from './edge-record.ts';
import { createRestartDelay } from './restart-delay.ts';
import { createStateLog } from './state-log.ts';
import { totals } from './totals.ts';

/** What an edge is kept running with. */
export interface SupervisorParts {
  /** File of the edge's program. */
  readonly program: string;
  readonly start: EdgeStart;
  /** Folder of the private socket, for the record. */
  readonly folder: string;
  readonly record: EdgeRecord;
  readonly maxResidentBytes: number;
  readonly log: Log;
}

/** Keeps an edge running. Disposing ends it. */
export interface EdgeSupervisor extends AsyncDisposable {
  readonly state: ListenerState;
  /** Resolves when the first start has come out, well or not. */
  readonly settled: Promise<void>;
  renewCertificate(certificate: RelayCertificate): void;
}

/** Starts an edge, and starts it again whenever it ends, hangs or grows too large. */
export function superviseEdge(parts: SupervisorParts): EdgeSupervisor {
  const { log } = parts;
  const stopping = new AbortController();
  const say = createStateLog(log);
  const adviseOnBuffers = createBufferAdvice(log);
  const restartDelay = createRestartDelay();
  const counters = totals();
  let { start } = parts;
  let state: Omit<ListenerState, 'figures'> = { status: 'down', detail: 'The QUIC edge has not started yet.' };
  let edge: EdgeProcess | undefined;
  let restarts = 0;
  let settle!: () => void;
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  const be = (next: typeof state, fields: Readonly<Record<string, unknown>> = {}) => {
    state = next;
    if (!stopping.signal.aborted) say(next, fields);
    settle();
  };
  /** One life of an edge. Answers for how long it was up, or null when another start is of no use. */
  const live = async (): Promise<number | null> => {
    edge = startEdgeProcess({ ...parts, start });
    if (edge.pid !== undefined) await parts.record.write(edge.pid, parts.folder);
    const opening = await edge.opening;
    if (opening.status === 'failed') return await giveUp(edge, opening);
    const sinceMs = performance.now();
    be({ status: 'up' }, { edge_pid: edge.pid, port: opening.up.port, source: opening.up.source });
    adviseOnBuffers(opening.up);
    const why = await edge.ended;
    be({ status: 'down', detail: `The QUIC edge ${why}; it is started again.` });
    return performance.now() - sinceMs;
  };
  const giveUp = async (failed: EdgeProcess, opening: Extract<EdgeOpening, { readonly status: 'failed' }>): Promise<0 | null> => {
    await failed.close('');
    const forGood = opening.reason === 'not_available' || opening.reason === 'not_permitted';
    be({ status: forGood ? 'unavailable' : 'down', detail: opening.message });
    return forGood ? null : 0;
  };
  const keep = async () => {
    while (!stopping.signal.aborted) {
      const upMs = await live();
      counters.close(edge?.figures ?? {});
      edge = undefined;
      await parts.record.remove();
      if (upMs === null || stopping.signal.aborted) return;
      await pause(restartDelay.next(upMs), stopping.signal);
      restarts += 1;
    }
  };
  const kept = keep().catch((error: unknown) => {
    log.error('the QUIC edge is not watched any more', { error });
    be({ status: 'unavailable', detail: 'The relay failed to watch its QUIC edge.' });
  });

  return {
    settled,
    get state() {
      const up = state.status === 'up' ? 1 : 0;
      return { ...state, figures: { ...counters.sum(edge?.figures ?? {}), up, restarts_total: restarts } };
    },
    renewCertificate({ certPem, keyPem }) {
      start = { ...start, certificate: { cert_pem: certPem, key_pem: keyPem } };
      edge?.send({ type: 'renew', certificate: start.certificate });
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await edge?.close('The relay is stopping.');
      await kept;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const over = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener('abort', over, { once: true });
  });
}
