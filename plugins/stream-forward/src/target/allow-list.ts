import { TowlineError } from '@towline/protocol';
import { type Address, contains, network } from './address.ts';
import { type AllowPattern, parseAllowPattern } from './allow-pattern.ts';
import type { Host } from './host.ts';
import { isLoopback, isMeant, isUnspecified } from './special-addresses.ts';
import type { NetworkTarget, Target } from './target.ts';

/** Which targets are allowed: those that at least one entry means. */
export interface AllowList {
  /**
   * Judges a target by how it is written, which is all that a relay can know. A name is meant by an entry with a name or by `*`, never
   * by a network; localhost also by entries for 127.0.0.1 or ::1.
   */
  allowsWritten(target: Target): boolean;
  /** The same for many ports of one host, which is judged once: each port costs next to nothing. */
  judgeWritten(target: NetworkTarget): PortJudge;
  /**
   * Judges an address that the host of a target was found to have. An entry with a name allows what the name leads to, but
   * no loopback or guarded address: whoever answers for a name must not choose those.
   */
  allowsAddress(target: NetworkTarget, address: Address): boolean;
  /** The same for many ports at one address, which is judged once. */
  judgeAddress(target: NetworkTarget, address: Address): PortJudge;
  /** Judges a socket by its real path, against what each listed path really is. */
  allowsRealPath(path: string, realPathOf: (listed: string) => Promise<string | null>): Promise<boolean>;
}

/** Whether a port is allowed. */
export type PortJudge = (port: number) => boolean;

type NetworkPattern = Extract<AllowPattern, { kind: 'network' }>;
type UnixPattern = Extract<AllowPattern, { kind: 'unix' }>;

const LOCAL_ADDRESSES: readonly Address[] = Object.freeze(
  ['127.0.0.1', '::1'].map((text) => ({ family: network(text).family, value: network(text).base })),
);

/** Makes a list of entries. @throws TowlineError `config_invalid` for one that is not valid. */
export function createAllowList(entries: readonly string[]): AllowList {
  const patterns = entries.map(readPattern);
  const nets = patterns.filter((pattern) => pattern.kind === 'network');
  const sockets = patterns.filter((pattern) => pattern.kind === 'unix');
  const judgeWritten = ({ kind, host }: NetworkTarget) =>
    judgePorts(nets, kind, (pattern) => (host.kind === 'address' ? meansAddress(pattern, host.address) : meansName(pattern, host.name)));
  const judgeAddress = ({ kind, host }: NetworkTarget, address: Address) =>
    judgePorts(nets, kind, (pattern) => !isUnspecified(address) && (meansAddress(pattern, address) || leadsTo(pattern, host, address)));
  return {
    allowsWritten: (target) => {
      if (target.kind === 'unix') return sockets.some((pattern) => meansPath(pattern, target.path, pattern.path));
      return judgeWritten(target)(target.port);
    },
    judgeWritten,
    allowsAddress: (target, address) => judgeAddress(target, address)(target.port),
    judgeAddress,
    allowsRealPath: async (path, realPathOf) => {
      for (const pattern of sockets) {
        const listed = pattern.match === 'any' ? pattern.path : await realPathOf(pattern.path);
        if (listed !== null && meansPath(pattern, path, listed)) return true;
      }
      return false;
    },
  };
}

function readPattern(entry: string): AllowPattern {
  const pattern = parseAllowPattern(entry);
  if (typeof pattern === 'string') throw new TowlineError('config_invalid', `The allowed target “${entry}” is not valid: ${pattern}.`);
  return pattern;
}

function judgePorts(
  patterns: readonly NetworkPattern[],
  kind: NetworkTarget['kind'],
  means: (pattern: NetworkPattern) => boolean,
): PortJudge {
  const ranges = patterns.filter((pattern) => pattern.protocols.includes(kind) && means(pattern)).flatMap(({ ports }) => ports);
  return (port) => ranges.some(([first, last]) => port >= first && port <= last);
}

function meansAddress({ host }: NetworkPattern, address: Address): boolean {
  if (host.kind === 'any') return isMeant('any', address);
  if (host.kind === 'loopback') return isLoopback(address);
  return host.kind === 'network' && isMeant(host.network, address);
}

function meansName({ host }: NetworkPattern, name: string): boolean {
  switch (host.kind) {
    case 'any':
      return true;
    case 'loopback':
      return name === 'localhost';
    case 'network':
      return name === 'localhost' && LOCAL_ADDRESSES.some((address) => contains(host.network, address));
    case 'name':
      return name === host.name;
    case 'below':
      return name.endsWith(host.suffix);
  }
}

function leadsTo(pattern: NetworkPattern, host: Host, address: Address): boolean {
  const isNamed = pattern.host.kind === 'name' || pattern.host.kind === 'below';
  return isNamed && host.kind === 'name' && meansName(pattern, host.name) && isMeant('any', address) && !isLoopback(address);
}

function meansPath({ match }: UnixPattern, path: string, listed: string): boolean {
  if (match === 'any') return true;
  if (match === 'path') return path === listed;
  const folder = listed === '/' ? '' : listed;
  return path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes('/');
}
