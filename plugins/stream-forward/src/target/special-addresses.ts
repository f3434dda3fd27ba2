import { type Address, contains, covers, LINK_LOCAL_V6, type Network, network } from './address.ts';

const LOOPBACK: readonly Network[] = Object.freeze([network('127.0.0.0/8'), network('::1')]);
const UNSPECIFIED: readonly Network[] = Object.freeze([network('0.0.0.0'), network('::')]);

/**
 * What a wildcard never means. Metadata services of clouds hand credentials of the machine to whoever can send them a request;
 * link-local addresses are those of the very network segment; groups and broadcasts reach many at once.
 */
const GUARDED: readonly Network[] = Object.freeze([
  // Link-local, RFC 3927; the metadata service of most clouds is 169.254.169.254.
  network('169.254.0.0/16'),
  LINK_LOCAL_V6,
  // Metadata over IPv6: AWS, which also hands out credentials at other addresses of this network; Google.
  network('fd00:ec2::/32'),
  network('fd20:ce::254'),
  // Metadata elsewhere: Alibaba, Oracle, and the wire server of Azure.
  network('100.100.100.200'),
  network('192.0.0.192'),
  network('168.63.129.16'),
  // Multicast and broadcast.
  network('224.0.0.0/4'),
  network('255.255.255.255'),
  network('ff00::/8'),
]);

/** IPv6 networks whose addresses stand for an IPv4 address, and where in them it lies, in bits from the right. */
const EMBEDDING: readonly (readonly [Network, bigint])[] = Object.freeze([
  // NAT64, RFC 6052 and RFC 8215; 6to4, RFC 3056; stateless translation, RFC 6145; IPv4-compatible, RFC 4291.
  [network('64:ff9b::/96'), 0n],
  [network('64:ff9b:1::/48'), 0n],
  [network('2002::/16'), 80n],
  [network('::ffff:0:0:0/96'), 0n],
  [network('::/96'), 0n],
] as const);

/** Whether it is the device itself. */
export function isLoopback(address: Address): boolean {
  return LOOPBACK.some((each) => contains(each, address));
}

/** Whether it is no address to connect to. Systems take 0.0.0.0 and :: for the machine itself, past every list that names 127.0.0.1. */
export function isUnspecified(address: Address): boolean {
  return UNSPECIFIED.some((each) => contains(each, address));
}

/** Whether a network, as somebody listed it, may mean this address: a guarded one has to be listed by itself, not by something larger. */
export function isMeant(listed: Network | 'any', address: Address): boolean {
  const guard = guardOf(address);
  if (listed === 'any') return guard === null;
  return contains(listed, address) && (guard === null || covers(guard, listed));
}

/** The guarded network that an address lies in; of one that stands for a guarded IPv4 address, itself alone. */
function guardOf(address: Address): Network | null {
  const guard = GUARDED.find((each) => contains(each, address));
  if (guard !== undefined) return guard;
  const inner = embeddedIn(address);
  const isGuarded = inner !== null && GUARDED.some((each) => contains(each, inner));
  return isGuarded ? { family: 6, base: address.value, bits: 128 } : null;
}

function embeddedIn(address: Address): Address | null {
  const found = EMBEDDING.find(([each]) => contains(each, address));
  return found === undefined ? null : { family: 4, value: (address.value >> found[1]) & 0xffff_ffffn };
}
