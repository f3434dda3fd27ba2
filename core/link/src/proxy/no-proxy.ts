import { BlockList, isIP } from 'node:net';
import type { RelayAddress } from '../relay-url.ts';

/**
 * Whether NO_PROXY names this address, so that it is reached without the proxy. Entries stand between commas or spaces:
 * `*` for everything; a name for itself and all names below it, with or without a leading `.` or `*.`; an IP address; a
 * network as `10.0.0.0/8`. Each may end in `:PORT`, IPv6 is in brackets then. Names are not looked up, so networks only
 * fit relays that are given by address. What is none of these fits nothing: other programs share the variable.
 */
export function bypassesProxy(list: string, address: RelayAddress): boolean {
  return list.split(/[\s,]+/).some((entry) => entry !== '' && fits(entry.toLowerCase(), address));
}

function fits(entry: string, address: RelayAddress): boolean {
  if (entry === '*') return true;
  const { host, port } = splitPort(entry);
  if (port !== undefined && port !== address.port) return false;
  return address.isIp ? coversIp(host, address.host) : coversName(host, address.host.toLowerCase());
}

/** An IPv6 address without brackets has no port: all of its colons are its own. */
function splitPort(entry: string): { readonly host: string; readonly port?: number } {
  if (isIP(entry) === 6) return { host: entry };
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|(.*?))(?::(\d{1,5}))?$/.exec(entry) ?? [];
  return { host: bracketed ?? plain ?? entry, ...(port === undefined ? {} : { port: Number(port) }) };
}

function coversName(entry: string, host: string): boolean {
  const name = entry.replace(/^\*?\./, '').replace(/\.$/, '');
  return name !== '' && (host === name || host.endsWith(`.${name}`));
}

function coversIp(entry: string, host: string): boolean {
  const [network = '', bits] = entry.split('/');
  // A zone as in fe80::1%eth0 is no part of a URL, and BlockList takes none.
  const family = network.includes('%') ? 0 : isIP(network);
  if (family === 0 || (bits !== undefined && !isPrefix(bits, family))) return false;
  const covered = new BlockList();
  covered.addSubnet(network, Number(bits ?? (family === 6 ? 128 : 32)), nameOf(family));
  return covered.check(host, nameOf(isIP(host)));
}

function isPrefix(bits: string, family: number): boolean {
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32);
}

function nameOf(family: number): 'ipv4' | 'ipv6' {
  return family === 6 ? 'ipv6' : 'ipv4';
}
