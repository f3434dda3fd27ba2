import { domainToASCII } from 'node:url';
import { type Address, formatAddress, parseAddress } from './address.ts';
import { isUnspecified } from './special-addresses.ts';

/** A host as a target or an allow pattern names it. */
export type Host =
  | { readonly kind: 'address'; readonly address: Address }
  /** Lower case, in ASCII (RFC 5890), without a dot at its end. */
  | { readonly kind: 'name'; readonly name: string };

/** RFC 1035, section 2.3.4, less the dot at the end. */
const LONGEST_NAME = 253;
/** A letter, digit or underscore at both ends: people do name services with underscores. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
/** What some programs take for an IPv4 address, and others for a name: `2130706433`, `0x7f.1`, `0177.0.0.1`. */
const NUMERIC = /^(?:[0-9]+|0x[0-9a-f]*)$/;

/** Reads a host: a name, an IPv4 address, or an IPv6 address with or without brackets. A text says what is wrong. */
export function parseHost(text: string): Host | string {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  const address = parseAddress(bare);
  if (address !== null) {
    if (isUnspecified(address)) return `${bare} is no address to connect to; the device itself is localhost`;
    return { kind: 'address', address };
  }
  if (bare !== text || text.includes(':') || text.includes('%')) return 'not a valid IPv6 address';
  return parseName(text);
}

/** Reads a name. A text says what is wrong. */
export function parseName(text: string): Host | string {
  const lower = text.toLowerCase().replace(/\.$/, '');
  if (lower === '') return 'no host';
  if (text.length > 4 * LONGEST_NAME) return 'longer than a host name can be';
  if (isNumeric(lower)) return 'an IPv4 address has to be written as four decimal numbers without leading zeros';
  // What else there is in ASCII means something to a parser of URLs, which is what turns other scripts into ASCII.
  if (/[^a-z0-9._\-\u00a0-\u{10ffff}]/u.test(lower)) return 'not a host name';
  const name = /^[\x21-\x7e]*$/.test(lower) ? lower : domainToASCII(lower);
  // Some letters turn into digits and dots on the way.
  if (name === '' || isNumeric(name)) return 'not a host name';
  if (name.length > LONGEST_NAME) return 'longer than a host name can be';
  return name.split('.').every((label) => LABEL.test(label)) ? { kind: 'name', name } : 'not a host name';
}

/** The host as it is written in a message; an IPv6 address without brackets. */
export function formatHost(host: Host): string {
  return host.kind === 'name' ? host.name : formatAddress(host.address);
}

function isNumeric(name: string): boolean {
  return NUMERIC.test(name.slice(name.lastIndexOf('.') + 1));
}
