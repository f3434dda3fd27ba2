import type { ClientSession } from '@towline/protocol';
import { TowlineError, toTowlineError } from '@towline/protocol';
import { DatagramSplitter, encodeDatagram } from '../datagrams.ts';
import { MAX_FLOW_QUEUED, MAX_FLOW_WAITING, MAX_FLOWS, RESULT_MS } from '../limits.ts';
import { type TargetMessage, targetText } from '../target/target.ts';
import type { Openings } from './openings.ts';
import type { Report, Reported } from './report.ts';

/** Datagrams that wait while their flow is being opened, bytes. */
const MAX_EARLY = 65_536;
/** What a datagram that waits takes besides its bytes, bytes: one of no bytes is not free. */
const EACH_EARLY = 256;
/** How often idle flows are looked for, in a part of the idle time. */
const SWEEPS = 4;

/** Where a flow of datagrams goes, and where answers go. */
export interface FlowRoute {
  readonly target: TargetMessage;
  readonly forward: Reported;
  /** Hands an answer to the program here. */
  answer(datagram: Buffer): void;
}

/** Flows of datagrams of one command: each a session of its own, from its first datagram until it was silent for long enough. */
export interface Flows {
  /** Sends a datagram on the flow of that key, which is made where there is none. */
  send(key: string, datagram: Uint8Array, route: () => FlowRoute): void;
  /** Ends the flows whose keys begin so. */
  end(prefix: string): void;
  close(): void;
}

/** Makes it. When there are as many as may be, the one that was silent for longest makes place. */
export function createFlows(openings: Openings, report: Report, idleMs: number): Flows {
  // In the order of their last datagram.
  const flows = new Map<string, Flow>();
  const drop = (key: string, flow: Flow, atOnce = false) => {
    if (flows.get(key) === flow) flows.delete(key);
    flow.end(atOnce);
  };
  const sweep = () => {
    const oldest = performance.now() - idleMs;
    for (const [key, flow] of flows) {
      if (flow.lastMs > oldest) return;
      drop(key, flow);
    }
  };
  const timer = setInterval(sweep, idleMs / SWEEPS);
  timer.unref();
  const touch = (key: string, flow: Flow) => {
    flows.delete(key);
    flows.set(key, flow);
    flow.lastMs = performance.now();
  };
  const begin = (key: string, route: FlowRoute): Flow => {
    const first = flows.size >= MAX_FLOWS ? flows.entries().next().value : undefined;
    if (first !== undefined) drop(...first);
    const flow = new Flow(route, {
      onAnswer: () => flows.get(key) === flow && touch(key, flow),
      onOver: () => drop(key, flow),
      report,
    });
    flow.open(openings);
    return flow;
  };
  return {
    send(key, datagram, route) {
      const flow = flows.get(key) ?? begin(key, route());
      touch(key, flow);
      flow.send(datagram);
    },
    end(prefix) {
      for (const [key, flow] of flows) if (key.startsWith(prefix)) drop(key, flow);
    },
    close() {
      clearInterval(timer);
      for (const [key, flow] of flows) drop(key, flow, true);
    },
  };
}

interface FlowHost {
  /** The other end sent something. */
  onAnswer(): void;
  /** It is of no use any more. */
  onOver(): void;
  readonly report: Report;
}

class Flow {
  lastMs = performance.now();
  readonly #route: FlowRoute;
  readonly #host: FlowHost;
  readonly #over = new AbortController();
  #early: Uint8Array[] = [];
  #earlyBytes = 0;
  #queued = 0;
  #session: ClientSession | null = null;

  constructor(route: FlowRoute, host: FlowHost) {
    this.#route = route;
    this.#host = host;
    route.forward.statistics.connections += 1;
  }

  /** Opens it on the device. What goes wrong is reported. */
  open(openings: Openings): void {
    const { target } = this.#route;
    openings.open({ target }, this.#over.signal).then(
      ({ session }) => this.#begin(session),
      (error: unknown) => this.#fail(toTowlineError(error)),
    );
  }

  send(datagram: Uint8Array): void {
    const { statistics } = this.#route.forward;
    const output = this.#session?.output(0);
    const isFull =
      output === undefined
        ? this.#earlyBytes + EACH_EARLY + datagram.length > MAX_EARLY
        : output.writableLength > MAX_FLOW_WAITING || this.#queued > MAX_FLOW_QUEUED;
    if (isFull) {
      statistics.dropped += 1;
      return;
    }
    if (output === undefined) {
      this.#early.push(datagram);
      this.#earlyBytes += EACH_EARLY + datagram.length;
    } else if (output.writable) {
      statistics.bytesToDevice += datagram.length;
      this.#queued += 1;
      output.write(encodeDatagram(datagram), () => {
        this.#queued -= 1;
      });
    }
  }

  /** Ends it in good order, or at once. */
  end(atOnce: boolean): void {
    const isFirst = !this.#over.signal.aborted;
    this.#over.abort(new TowlineError('cancelled'));
    this.#early = [];
    const session = this.#session;
    if (atOnce) session?.cancel();
    else if (isFirst && session !== null && !session.signal.aborted) endInTime(session);
  }

  #begin(session: ClientSession): void {
    if (this.#over.signal.aborted) return session.cancel();
    this.#session = session;
    for (const datagram of this.#early.splice(0)) this.send(datagram);
    const splitter = new DatagramSplitter((datagram) => {
      // What comes behind the end is for nobody: the port here may be another program's by now.
      if (this.#over.signal.aborted) return;
      this.#route.forward.statistics.bytesFromDevice += datagram.length;
      this.#host.onAnswer();
      this.#route.answer(datagram);
    });
    session.input(0).on('data', (bytes: Buffer) => {
      try {
        splitter.push(bytes);
      } catch (error) {
        session.cancel();
        this.#fail(toTowlineError(error));
      }
    });
    session.result.then(
      () => this.#host.onOver(),
      (error: unknown) => this.#fail(toTowlineError(error)),
    );
  }

  #fail(error: TowlineError): void {
    if (!this.#over.signal.aborted) {
      const { forward, target } = this.#route;
      forward.statistics.failures += 1;
      this.#host.report.failed(forward, targetText(target), error);
    }
    this.#host.onOver();
  }
}

/** Ends a session in good order; a device that does not do its part must not keep it. */
function endInTime(session: ClientSession): void {
  const timer = setTimeout(() => session.cancel(), RESULT_MS);
  const settled = () => clearTimeout(timer);
  session.result.then(settled, settled);
  session.output(0).end();
}
