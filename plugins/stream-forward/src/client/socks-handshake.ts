import type { Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';
import { readBytes } from './read-bytes.ts';
import {
  readSocksAddress,
  restOfAddress,
  SOCKS_COMMAND,
  SOCKS_METHOD,
  SOCKS_REPLY,
  SOCKS_VERSION,
  type SocksTarget,
  socksReply,
} from './socks-message.ts';

/** What a program asks of the proxy. */
export interface SocksRequest {
  readonly command: 'connect' | 'udp-associate';
  readonly target: SocksTarget;
}

/** Speaks SOCKS with a program up to its request. Whatever is wrong is answered as the standard says. @throws TowlineError */
export async function acceptSocks(socket: Socket, signal: AbortSignal): Promise<SocksRequest> {
  const [version, methodCount] = await readBytes(socket, 2, signal);
  // Nothing is answered to what is no SOCKS5, as a page in a browser that tries ports of its machine.
  if (version !== SOCKS_VERSION) throw new TowlineError('protocol_error', 'A program on this machine spoke something else than SOCKS5.');
  const methods = methodCount === 0 ? Buffer.alloc(0) : await readBytes(socket, methodCount!, signal);
  if (!methods.includes(SOCKS_METHOD.none)) {
    socket.end(Buffer.from([SOCKS_VERSION, SOCKS_METHOD.unacceptable]));
    throw new TowlineError('protocol_error', 'A program on this machine wants to authenticate to the proxy, which needs no password.');
  }
  socket.write(Buffer.from([SOCKS_VERSION, SOCKS_METHOD.none]));
  return await readRequest(socket, signal);
}

async function readRequest(socket: Socket, signal: AbortSignal): Promise<SocksRequest> {
  const head = await readBytes(socket, 5, signal);
  const [version, command, , type, next] = head;
  if (version !== SOCKS_VERSION) throw new TowlineError('protocol_error', 'A program on this machine broke the rules of SOCKS5.');
  const rest = restOfAddress(type!, next!);
  if (rest === null) throw refused(socket, SOCKS_REPLY.badAddress);
  const address = Buffer.concat([head.subarray(3), await readBytes(socket, rest, signal)]);
  if (command === SOCKS_COMMAND.udpAssociate) return { command: 'udp-associate', target: addressOf(socket, address, true) };
  if (command !== SOCKS_COMMAND.connect) throw refused(socket, SOCKS_REPLY.badCommand);
  return { command: 'connect', target: addressOf(socket, address, false) };
}

function addressOf(socket: Socket, address: Buffer, zeroAllowed: boolean): SocksTarget {
  try {
    return readSocksAddress(address, { zeroAllowed });
  } catch {
    throw refused(socket, SOCKS_REPLY.badAddress);
  }
}

function refused(socket: Socket, code: number): TowlineError {
  socket.end(socksReply(code));
  return new TowlineError('invalid_request', 'A program on this machine asked the proxy for something that it cannot do.');
}
