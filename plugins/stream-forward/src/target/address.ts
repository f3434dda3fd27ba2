import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** An IP address. An IPv4 address that is mapped into IPv6 (`::ffff:192.0.2.1`) is that IPv4 address: the system treats it so. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
  /** Interface of a link-local address (RFC 4007), as in `fe80::1%eth0`. */
  readonly zone?: string;
}

/** Addresses whose first `bits` are those of `base`. */
export interface Network {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly bits: number;
}

/** Names of interfaces on the systems that devices run. */
const ZONE = /^[A-Za-z0-9._-]{1,15}$/;

/**
 * Reads an address. IPv4 is four decimal numbers without leading zeros and nothing else: octal, hexadecimal and short forms mean
 * different addresses to different programs. A zone is taken behind a link-local address only. Null when it is none.
 */
export function parseAddress(text: string): Address | null {
  if (isIPv4(text)) return { family: 4, value: valueOfV4(text) };
  const [plain = '', zone, ...more] = text.split('%');
  if (!isIPv6(plain) || more.length > 0) return null;
  const address = withoutMapping(valueOfV6(plain));
  if (zone === undefined) return address;
  return ZONE.test(zone) && contains(LINK_LOCAL_V6, address) ? { ...address, zone } : null;
}

/** Reads `ADDRESS/BITS`; an address alone is a network of one. Null when it is none, or when bits beyond its length are set. */
export function parseNetwork(text: string): Network | null {
  const [host = '', length, ...more] = text.split('/');
  const address = parseAddress(host);
  if (address === null || address.zone !== undefined || more.length > 0) return null;
  const whole = widthOf(address.family);
  if (length === undefined) return { family: address.family, base: address.value, bits: whole };
  // What is written as IPv6 is counted as IPv6.
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > whole || host.includes(':') !== (address.family === 6)) return null;
  const bits = Number(length);
  const isAligned = (address.value & ((1n << BigInt(whole - bits)) - 1n)) === 0n;
  return isAligned ? { family: address.family, base: address.value, bits } : null;
}

/** Whether an address lies in a network; its zone makes no difference. */
export function contains({ family, base, bits }: Network, address: Address): boolean {
  const beyond = BigInt(widthOf(family) - bits);
  return family === address.family && address.value >> beyond === base >> beyond;
}

/** Whether the whole of one network lies in another. */
export function covers(outer: Network, inner: Network): boolean {
  return inner.bits >= outer.bits && contains(outer, { family: inner.family, value: inner.base });
}

/** The address as it is written: RFC 5952 for IPv6, without brackets. */
export function formatAddress({ family, value, zone }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16));
  const { address } = new SocketAddress({ address: groups.join(':'), family: 'ipv6' });
  return zone === undefined ? address : `${address}%${zone}`;
}

function widthOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

function valueOfV4(text: string): bigint {
  return text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function valueOfV6(text: string): bigint {
  const dotted = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(text);
  const hex = dotted ? `${dotted[1]}${hexGroups(valueOfV4(dotted[2]!))}` : text;
  const [left = '', right] = hex.split('::');
  const head = groupsOf(left);
  const tail = groupsOf(right ?? '');
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0n);
  return [...head, ...zeros, ...tail].reduce((value, group) => value * 65_536n + group, 0n);
}

function hexGroups(v4: bigint): string {
  return `${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
}

function groupsOf(text: string): bigint[] {
  return text === '' ? [] : text.split(':').map((group) => BigInt(`0x${group}`));
}

function withoutMapping(value: bigint): Address {
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

/** A network that is written in this package. */
export function network(text: string): Network {
  const found = parseNetwork(text);
  if (found === null) throw new RangeError(`${text} is no network`);
  return found;
}

/** RFC 4291, section 2.5.6. */
export const LINK_LOCAL_V6: Network = Object.freeze(network('fe80::/10'));
