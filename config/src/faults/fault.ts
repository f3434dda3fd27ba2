import { printable, TowlineError } from '@towline/protocol';

/** One thing that is wrong with the configuration. */
export interface Fault {
  /** File as the user named it, or `environment`, `command line` or `built-in defaults`. */
  readonly file: string;
  /** Line in the file, from 1; absent where no line can be named. */
  readonly line?: number;
  /** Dotted key as `server.port` or `auth[0].issuer`, or the name of a variable or flag; empty for the file as a whole. */
  readonly key: string;
  /** What would have been right. */
  readonly expected: string;
  /** What is there instead. Never a secret. */
  readonly found: string;
}

/** Place of a value inside the configuration: names of keys and indices of lists. */
export type KeyPath = readonly (string | number)[];

/** Most faults that are worth listing; the rest is counted. */
const MAX_LISTED = 50;

/** A fault as one line of text: `towline.yaml:12: server.port: expected …, found …`. */
export function formatFault(fault: Fault): string {
  const place = fault.line === undefined ? fault.file : `${fault.file}:${fault.line}`;
  const key = fault.key === '' ? '' : `${fault.key}: `;
  return printable(`${place}: ${key}expected ${fault.expected}, found ${fault.found}`);
}

/** The error that carries all faults, one a line. */
export function configInvalid(faults: readonly Fault[]): TowlineError {
  const head = faults.length === 1 ? 'The configuration has a fault:' : `The configuration has ${faults.length} faults:`;
  const lines = faults.slice(0, MAX_LISTED).map(formatFault);
  if (faults.length > MAX_LISTED) lines.push(`… and ${faults.length - MAX_LISTED} more`);
  return new TowlineError('config_invalid', [head, ...lines].join('\n'));
}

/** `auth[0].issuer` for `['auth', 0, 'issuer']`. */
export function formatPath(path: KeyPath): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('');
}

/** Sources that are no file, in the order in which they win. */
const SOURCES: readonly string[] = Object.freeze(['environment', 'command line']);

/** Faults without those that follow from an earlier one of the same key: those of the file by line, then those of other sources. */
export function firstPerKey(faults: readonly Fault[]): Fault[] {
  const seen = new Set<string>();
  const first = faults.filter(({ file, line, key, found }) => {
    // One variable may hold a list with several faults.
    const id = JSON.stringify([file, key, key === '' ? line : SOURCES.includes(file) ? found : '']);
    return !seen.has(id) && seen.add(id);
  });
  const rank = (fault: Fault) => SOURCES.indexOf(fault.file);
  return first.sort((one, other) => rank(one) - rank(other) || (one.line ?? 0) - (other.line ?? 0));
}
