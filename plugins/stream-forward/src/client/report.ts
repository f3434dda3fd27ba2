import type { CliHost } from '@towline/contract';
import { printable, type TowlineError } from '@towline/protocol';
import type { Statistics } from './statistics.ts';

/** Lines of one kind, as refusals of one target, that are printed in a second. */
const LINES_PER_SECOND = 1;
/** Unread output above which events are dropped, bytes: a reader that has stopped must not fill the memory. */
const MAX_UNREAD = 1_048_576;
/** Kinds of lines that are remembered. */
const MAX_KINDS = 1_024;
const SECOND_MS = 1_000;

/** A forward as it is reported. */
export interface Reported {
  /** Where it listens. */
  readonly places: readonly string[];
  /** What it leads to. */
  readonly target: string;
  readonly protocol: string;
  readonly statistics: Statistics;
}

/** What a forward tells: lines for people on stderr, or with `--json` events on stdout. Texts from elsewhere are escaped. */
export interface Report {
  /** It listens. */
  listening(forward: Reported): void;
  /** Everything listens. */
  ready(): void;
  warn(text: string): void;
  linkDown(error: TowlineError, retryMs: number): void;
  linkUp(): void;
  /** A connection was not opened, or broke. */
  failed(forward: Reported, target: string, error: TowlineError): void;
  /** The figures, at the end. */
  statistics(forwards: readonly Reported[]): void;
}

/** Makes it. `device` is the name that was typed. */
export function createReport({ stdout, stderr, json }: Pick<CliHost, 'stdout' | 'stderr' | 'json'>, device: string): Report {
  const limiter = createLimiter();
  let omitted = 0;
  const event = (fields: object) => {
    if (stdout.writableLength > MAX_UNREAD) omitted += 1;
    else stdout.write(`${asciiJson(omitted === 0 ? fields : { ...fields, omitted_before: omitted })}\n`);
    if (stdout.writableLength <= MAX_UNREAD) omitted = 0;
  };
  const say = (text: string, fields: object) => {
    if (json) event(fields);
    else if (stderr.writableLength <= MAX_UNREAD) stderr.write(`towline: ${printable(text)}\n`);
  };
  return {
    listening: ({ places, target, protocol }) =>
      say(`${places.join(' and ')} leads to ${target} on ${device}`, { event: 'listening', places, target, protocol }),
    ready: () => say('ready', { event: 'ready' }),
    warn: (text) => say(text, { event: 'warning', message: text }),
    linkDown: (error, retryMs) =>
      say(`the connection to the relay is down (${error.message}); trying again in ${(retryMs / SECOND_MS).toFixed(1)} s`, {
        event: 'link',
        state: 'down',
        ...coded(error),
        retry_ms: Math.round(retryMs),
      }),
    linkUp: () => say('the connection to the relay is up again', { event: 'link', state: 'up' }),
    failed: (forward, target, error) => {
      const before = json ? 0 : limiter(`${target} ${error.code}`);
      if (before === null) return;
      const more = before === 0 ? '' : ` (and ${before} times before that)`;
      say(`${target}: ${error.message}${more}\n  ${error.hint}`.replace('\n  ', ' '), {
        event: 'failed',
        places: forward.places,
        target,
        ...coded(error),
      });
    },
    statistics: (forwards) => {
      if (json) event({ event: 'statistics', forwards: forwards.map(figures) });
      else for (const forward of forwards) stderr.write(`towline: ${printable(figuresText(forward))}\n`);
    },
  };
}

function coded({ code, message, hint }: TowlineError): object {
  return { code, message, hint };
}

function figures({ places, target, protocol, statistics }: Reported): object {
  return {
    places,
    target,
    protocol,
    connections: statistics.connections,
    failures: statistics.failures,
    bytes_to_device: statistics.bytesToDevice,
    bytes_from_device: statistics.bytesFromDevice,
    ...(statistics.dropped === 0 ? {} : { dropped: statistics.dropped }),
  };
}

function figuresText({ places, target, statistics }: Reported): string {
  const { connections, failures, bytesToDevice, bytesFromDevice, dropped } = statistics;
  const lost = dropped === 0 ? '' : `, ${dropped} datagrams dropped`;
  return `${places[0]} to ${target}: ${connections} connections, ${failures} failed, ${bytesToDevice} bytes to the device, ${bytesFromDevice} from it${lost}`;
}

/** Tells how many lines of a kind were left out since the last one that was printed; null when this one is to be left out. */
function createLimiter(): (kind: string) => number | null {
  const kinds = new Map<string, { atMs: number; omitted: number }>();
  return (kind) => {
    const nowMs = performance.now();
    const known = kinds.get(kind);
    if (known !== undefined && nowMs - known.atMs < SECOND_MS / LINES_PER_SECOND) {
      known.omitted += 1;
      return null;
    }
    if (kinds.size >= MAX_KINDS) kinds.clear();
    kinds.set(kind, { atMs: nowMs, omitted: 0 });
    return known?.omitted ?? 0;
  };
}

/** JSON of which a terminal obeys nothing. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
