import { type Network, parseAddress, parseNetwork } from './address.ts';
import { parseName } from './host.ts';
import { isUnspecified } from './special-addresses.ts';
import { pathFault } from './target.ts';

/*
 * What a list of allowed targets is written in, on relay and device alike:
 *
 *     HOST:PORTS         both TCP and UDP
 *     HOST:PORTS/tcp     TCP alone; /udp: UDP alone
 *     unix:PATH          a unix socket, by its whole path
 *     unix:FOLDER/*      each socket directly in a folder;  unix:* every socket
 *
 * HOST is * (any), localhost (the device's loopback addresses), an address, a network (10.0.0.0/8, [fd00::]/8, [fd00::/8]), a name
 * (db.internal), or *.NAME (each name below it). PORTS is * (any), a port, a range (8000-8100), or several of these with commas.
 */

/** Which hosts a pattern means. */
export type HostPattern =
  | { readonly kind: 'any' }
  | { readonly kind: 'loopback' }
  | { readonly kind: 'network'; readonly network: Network }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'below'; readonly suffix: string };

/** One entry of a list of allowed targets. */
export type AllowPattern =
  | {
      readonly kind: 'network';
      readonly host: HostPattern;
      /** First and last port of each range. */
      readonly ports: readonly (readonly [number, number])[];
      readonly protocols: readonly ('tcp' | 'udp')[];
    }
  | { readonly kind: 'unix'; readonly match: 'any' | 'path' | 'folder'; readonly path: string };

const MAX_PORT = 65_535;
/** Longest entry, characters: the longest name with some ports. */
const LONGEST = 512;

/** Reads one entry. A text says what is wrong with it. */
export function parseAllowPattern(text: string): AllowPattern | string {
  if (text.length > LONGEST) return 'longer than a target can be';
  if (text.startsWith('unix:')) return parseUnix(text.slice('unix:'.length));
  const found = /^(.+):([0-9,*-]+)(?:\/(tcp|udp))?$/.exec(text);
  if (found === null) return 'expected HOST:PORTS, such as localhost:8080, 10.0.0.0/8:22 or *.internal:80-90/tcp, or unix:PATH';
  const [, hostText = '', portText = '', protocol] = found;
  const host = parseHostPattern(hostText);
  if (typeof host === 'string') return host;
  const ports = parsePorts(portText);
  if (ports === null) return `“${portText}” is no port from 1 to ${MAX_PORT}, no range such as 8000-8100, and not *`;
  return { kind: 'network', host, ports, protocols: protocol === undefined ? ['tcp', 'udp'] : [protocol as 'tcp' | 'udp'] };
}

function parseUnix(path: string): AllowPattern | string {
  if (path === '*') return { kind: 'unix', match: 'any', path: '/' };
  const folder = path.endsWith('/*') ? path.slice(0, -2) : null;
  const fault = pathFault(folder ?? path);
  if (fault !== null) return fault;
  return folder === null ? { kind: 'unix', match: 'path', path } : { kind: 'unix', match: 'folder', path: folder };
}

function parseHostPattern(text: string): HostPattern | string {
  if (text === '*') return { kind: 'any' };
  // Both [fd00::]/8 and [fd00::/8] are in use.
  const bare = /^\[([^\]]*)\](\/[0-9]+)?$/.exec(text);
  const network = parseNetwork(bare === null ? text : `${bare[1]}${bare[2] ?? ''}`);
  if (network !== null) return networkPattern(network);
  if (text.includes('%')) return 'a pattern has no zone: it means the address on every interface';
  if (bare !== null || text.includes('/') || text.includes(':')) return networkFault(text);
  return namePattern(text);
}

function networkPattern(network: Network): HostPattern | string {
  const isOne = network.bits === (network.family === 4 ? 32 : 128);
  if (isOne && isUnspecified({ family: network.family, value: network.base })) return 'no address to connect to; * means any host';
  return { kind: 'network', network };
}

function networkFault(text: string): string {
  const inner = text.replace(/[[\]]/g, '').split('/')[0]!;
  if (parseAddress(inner) !== null) return `“${text}” is no network: its length is wrong, or bits beyond its length are set`;
  return `“${text}” is no address and no network; IPv6 is written in brackets`;
}

function namePattern(text: string): HostPattern | string {
  const below = text.startsWith('*.');
  const host = parseName(below ? text.slice(2) : text);
  if (typeof host === 'string') return `“${text}”: ${host}`;
  if (host.kind !== 'name') return `“${text}” is no name`;
  if (below) return { kind: 'below', suffix: `.${host.name}` };
  return host.name === 'localhost' ? { kind: 'loopback' } : { kind: 'name', name: host.name };
}

function parsePorts(text: string): [number, number][] | null {
  const ranges: [number, number][] = [];
  for (const part of text.split(',')) {
    const found = part === '*' ? ['', '1', String(MAX_PORT)] : /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(part);
    if (found === null) return null;
    const [first, last] = [Number(found[1]), Number(found[2] ?? found[1])];
    if (first > last || last > MAX_PORT) return null;
    ranges.push([first, last]);
  }
  return ranges;
}
