import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import type { Log } from '@towline/contract';
import {
  BEAT_EVERY_MS,
  CHANNEL_FD,
  type EdgeFailure,
  type EdgeStart,
  type EdgeUp,
  edgeChannel,
  type ToEdge,
} from '../edge/edge-messages.ts';
import { logLines } from './line-log.ts';

/** Variables that a program needs to be loaded, or to write times. Everything else may be a secret of the relay. */
const PASSED_ON = ['LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'TZ', 'LANG'] as const;
/** Beats that may be missing: an edge that stands still for longer is of no use to its links. */
const MISSED_BEATS = 5;
/** Time for a start, milliseconds: a small board reads its card slowly. */
const START_MS = 15_000;
/** Time to take leave, milliseconds. */
const LEAVE_MS = 2_500;

/** How an edge process is started. */
export interface EdgeProcessParts {
  /** File of the edge's program. */
  readonly program: string;
  readonly start: EdgeStart;
  /** Memory the process may hold, bytes; the heap of JavaScript gets half of it. */
  readonly maxResidentBytes: number;
  readonly log: Log;
}

/** How a start came out. */
export type EdgeOpening =
  | { readonly status: 'up'; readonly up: EdgeUp }
  | { readonly status: 'failed'; readonly reason: EdgeFailure; readonly message: string };

/** One edge process. */
export interface EdgeProcess {
  /** Undefined when it could not be started at all. */
  readonly pid: number | undefined;
  readonly opening: Promise<EdgeOpening>;
  /** Resolves when the process is gone: why, in words that follow "the QUIC edge …". */
  readonly ended: Promise<string>;
  /** Its last report. */
  readonly figures: Readonly<Record<string, number>>;
  send(message: ToEdge): void;
  /** Has it take leave of its connections, and kills it when that takes too long. Resolves when it is gone. */
  close(message: string): Promise<void>;
}

/** Starts an edge and watches it: what falls silent or grows too large is killed. */
export function startEdgeProcess(parts: EdgeProcessParts): EdgeProcess {
  const child = spawnEdge(parts);
  // Where the system has no process or descriptor left there is nothing but an error to come.
  const pipe = child.stdio?.[CHANNEL_FD] as Duplex | undefined;
  if (child.stderr) logLines(child.stderr, parts.log, 'the QUIC edge wrote');
  return pipe === undefined ? neverStarted(child) : watchEdge(child, pipe, parts);
}

function spawnEdge({ program, maxResidentBytes }: EdgeProcessParts): ChildProcess {
  const heapMegabytes = Math.floor(maxResidentBytes / 2 / 1_048_576);
  return spawn(process.execPath, [`--max-old-space-size=${heapMegabytes}`, program], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: minimalEnvironment(process.env),
    cwd: '/',
  });
}

function minimalEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const given = PASSED_ON.map((name) => [name, environment[name]] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function neverStarted(child: ChildProcess): EdgeProcess {
  const ended = new Promise<string>((resolve) => child.once('error', (error) => resolve(`could not be started: ${error.message}`)));
  return {
    pid: undefined,
    opening: ended.then((why) => ({ status: 'failed', reason: 'failed', message: `The QUIC edge ${why}.` })),
    ended,
    figures: {},
    send: () => undefined,
    close: async () => void (await ended),
  };
}

function watchEdge(child: ChildProcess, pipe: Duplex, { start, maxResidentBytes }: EdgeProcessParts): EdgeProcess {
  const channel = edgeChannel(pipe);
  let why: string | null = null;
  let figures: EdgeProcess['figures'] = {};
  let heard = false;
  let missed = 0;
  let settleOpening!: (opening: EdgeOpening) => void;
  const opening = new Promise<EdgeOpening>((resolve) => {
    settleOpening = resolve;
  });
  const kill = (reason: string) => {
    why ??= reason;
    child.kill('SIGKILL');
  };
  const late = setTimeout(() => kill(`did not open its port within ${START_MS / 1_000} s`), START_MS);
  const beats = setInterval(() => {
    // Counted by turns of this loop: a relay that stood still must not blame its edge.
    if (heard && (missed += 1) > MISSED_BEATS) return kill(`fell silent for ${(MISSED_BEATS * BEAT_EVERY_MS) / 1_000} s`);
    channel.send({ type: 'beat' });
  }, BEAT_EVERY_MS);
  const ended = new Promise<string>((resolve) => {
    const over = (reason: string) => {
      clearInterval(beats);
      clearTimeout(late);
      why ??= reason;
      settleOpening({ status: 'failed', reason: 'failed', message: `The QUIC edge ${why}.` });
      resolve(why);
    };
    child.once('error', (error) => over(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => over(signal === null ? `ended with status ${code}` : `was ended by ${signal}`));
  });
  const close = async (message: string) => {
    channel.send({ type: 'close', message });
    const overdue = setTimeout(() => kill('did not end by itself'), LEAVE_MS);
    await ended;
    clearTimeout(overdue);
  };
  const weigh = ({ resident_bytes: bytes = 0 }: EdgeProcess['figures']) => {
    if (bytes <= maxResidentBytes || why !== null) return;
    why = `held ${Math.round(bytes / 1_048_576)} MiB of memory, where ${Math.round(maxResidentBytes / 1_048_576)} are allowed`;
    void close('The relay starts its QUIC edge again.');
  };
  channel.onMessage((message) => {
    heard = true;
    missed = 0;
    if (message.type === 'beat') {
      figures = message.figures;
      return weigh(figures);
    }
    clearTimeout(late);
    settleOpening(
      message.type === 'up' ? { status: 'up', up: message } : { status: 'failed', reason: message.reason, message: message.message },
    );
  });
  // What breaks the rules of the channel is out of its mind. Where the channel itself broke, the process ends or falls silent.
  void channel.closed.then((error) => error?.code === 'protocol_error' && kill('sent its relay something that is no message'));
  channel.send(start);
  return {
    pid: child.pid,
    opening,
    ended,
    get figures() {
      return figures;
    },
    send: (message) => channel.send(message),
    close,
  };
}
