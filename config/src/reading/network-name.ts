import { BlockList, isIP } from 'node:net';

const HOST_LABEL = /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/;
const CIDR = /^([^/]{2,45})(?:\/(0|[1-9][0-9]{0,2}))?$/;

/** Whether the text is an IP address or a host name. */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true;
  // Digits and dots alone are an address with a slip in it, not a name.
  if (text.length > 253 || /^[0-9.]+$/.test(text)) return false;
  return text.split('.').every((label) => HOST_LABEL.test(label));
}

/** Whether a listener on this host can be reached from this machine only. */
export function isLoopbackHost(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** Whether the text is an address, or an address and a prefix length that leaves somebody out. */
export function isNarrowNetwork(text: string): boolean {
  const match = CIDR.exec(text);
  if (match === null) return false;
  const family = isIP(match[1]!);
  if (family === 0 || match[1]!.includes('%')) return false;
  const bits = family === 6 ? 128 : 32;
  const prefix = match[2] === undefined ? bits : Number(match[2]);
  return prefix > 0 && prefix <= bits;
}

/** The origin (`https://HOST[:PORT]`) of an https URL without user, path and query; null when the text is none. */
export function httpsOrigin(text: string): string | null {
  if (!/^https:\/\//i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const plain = url.username === '' && url.password === '' && url.pathname === '/' && url.search === '' && url.hash === '';
  // An empty user, query or fragment leaves no trace in the parsed URL.
  return plain && !/[@?#\\\s]/.test(text) ? url.origin : null;
}
