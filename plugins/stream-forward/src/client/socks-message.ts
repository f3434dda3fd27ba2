import { TowlineError } from '@towline/protocol';
import { formatAddress } from '../target/address.ts';
import { formatHost, parseHost } from '../target/host.ts';

/** SOCKS5, RFC 1928. Numbers of its messages. */
export const SOCKS_VERSION = 5;
/** Section 3: no authentication, and no method that both sides know. */
export const SOCKS_METHOD = Object.freeze({ none: 0, unacceptable: 0xff });
/** Section 4. */
export const SOCKS_COMMAND = Object.freeze({ connect: 1, udpAssociate: 3 });
/** Section 6. */
export const SOCKS_REPLY = Object.freeze({
  succeeded: 0,
  failure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  timeout: 6,
  badCommand: 7,
  badAddress: 8,
});
const ADDRESS = Object.freeze({ v4: 1, name: 3, v6: 4 });
/** Bytes of an address before its port, by its type; a name says its length by itself. */
const LENGTHS: Readonly<Record<number, number>> = Object.freeze({ [ADDRESS.v4]: 4, [ADDRESS.v6]: 16 });
/** Head of a datagram, section 7: two reserved bytes and the number of the fragment. */
const DATAGRAM_HEAD = 3;

/** Where a program wants to go. */
export interface SocksTarget {
  readonly host: string;
  readonly port: number;
}

/** Bytes that follow the type of an address and the byte behind it: the rest of the address, and the port. Null for a type that is none. */
export function restOfAddress(type: number, next: number): number | null {
  const length = type === ADDRESS.name ? next + 1 : LENGTHS[type];
  return length === undefined ? null : length - 1 + 2;
}

/**
 * Reads the type, the address and the port. `zeroAllowed`: the port, and the address, may be zero, as where a program does not know yet.
 * @throws TowlineError `invalid_request` for a host that cannot be.
 */
export function readSocksAddress(bytes: Buffer, { zeroAllowed = false } = {}): SocksTarget {
  const type = bytes[0]!;
  const port = bytes.readUInt16BE(bytes.length - 2);
  const address = bytes.subarray(type === ADDRESS.name ? 2 : 1, -2);
  const text = hostText(type, address);
  const isZero = type !== ADDRESS.name && address.every((byte) => byte === 0);
  const host = isZero ? text : parseHost(text);
  const valid = typeof host !== 'string' || (isZero && zeroAllowed);
  if (!valid || (port === 0 && !zeroAllowed))
    throw new TowlineError('invalid_request', 'The program asked the proxy for an address that is none.');
  return { host: typeof host === 'string' ? host : formatHost(host), port };
}

function hostText(type: number, bytes: Buffer): string {
  if (type === ADDRESS.name) return bytes.toString('utf8');
  const value = BigInt(`0x${bytes.toString('hex')}`);
  return formatAddress({ family: type === ADDRESS.v4 ? 4 : 6, value });
}

/** A reply, section 6. `bound` is where datagrams are to be sent; otherwise nobody needs to know the address, and it is zero. */
export function socksReply(code: number, bound?: { readonly v6: boolean; readonly port: number }): Buffer {
  const address = bound?.v6 ? Buffer.from([...Buffer.alloc(15), 1]) : Buffer.from(bound ? [127, 0, 0, 1] : [0, 0, 0, 0]);
  const port = Buffer.alloc(2);
  port.writeUInt16BE(bound?.port ?? 0);
  return Buffer.concat([Buffer.from([SOCKS_VERSION, code, 0, bound?.v6 ? ADDRESS.v6 : ADDRESS.v4]), address, port]);
}

/** The reply that says best why something failed. */
export function replyOf({ code }: TowlineError): number {
  switch (code) {
    case 'target_refused':
      return SOCKS_REPLY.refused;
    case 'target_unreachable':
    case 'target_not_found':
    case 'device_offline':
    case 'device_lost':
      return SOCKS_REPLY.hostUnreachable;
    case 'target_timeout':
      return SOCKS_REPLY.timeout;
    case 'target_not_allowed':
    case 'forbidden':
      return SOCKS_REPLY.notAllowed;
    case 'unavailable':
      return SOCKS_REPLY.networkUnreachable;
    default:
      return SOCKS_REPLY.failure;
  }
}

/** What a datagram to the proxy is for; null for a fragment, and for what is none. Section 7. */
export function readSocksDatagram(
  datagram: Buffer,
): { readonly target: SocksTarget; readonly head: Buffer; readonly bytes: Buffer } | null {
  if (datagram.length < DATAGRAM_HEAD + 2 || datagram[2] !== 0) return null;
  const rest = restOfAddress(datagram[DATAGRAM_HEAD]!, datagram[DATAGRAM_HEAD + 1]!);
  const end = DATAGRAM_HEAD + 2 + (rest ?? Number.POSITIVE_INFINITY);
  if (datagram.length < end) return null;
  try {
    const target = readSocksAddress(datagram.subarray(DATAGRAM_HEAD, end));
    return { target, head: datagram.subarray(0, end), bytes: datagram.subarray(end) };
  } catch {
    return null;
  }
}
