import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';
import { MAX_FLOW_WAITING } from '../limits.ts';
import { parseAddress } from '../target/address.ts';
import { isUnspecified } from '../target/special-addresses.ts';
import { targetText } from '../target/target.ts';
import type { Flows } from './flows.ts';
import type { Reported } from './report.ts';
import { readSocksDatagram, type SocksTarget, socksReply } from './socks-message.ts';

/** What an association works with. */
export interface AssociationParts {
  readonly flows: Flows;
  readonly reported: Reported;
  /** Distinguishes its flows from all others. */
  readonly id: string;
}

/**
 * Carries datagrams for a program as long as its connection lasts (RFC 1928, section 7). They are taken from the address of that
 * connection alone, and from the port that the program named, else the first that is used: a program that names none may lose its
 * association to whoever else can send from its address, but never a datagram. Fragments are dropped.
 * @throws TowlineError `forbidden` when the program named an address that is not its own.
 */
export async function serveAssociation(control: Socket, named: SocksTarget, { flows, reported, id }: AssociationParts): Promise<void> {
  // From the beginning: a program may be gone before its association stands.
  const left = leaving(control);
  requireOwn(named, control);
  const v6 = control.localAddress === '::1';
  const socket = createSocket(v6 ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  socket.on('error', () => {});
  socket.bind(0, v6 ? '::1' : '127.0.0.1');
  await once(socket, 'listening');
  let peer = named.port === 0 ? null : named.port;
  let closed = false;
  const answer = (head: Buffer, from: RemoteInfo) => (datagram: Buffer) => {
    if (closed || socket.getSendQueueSize() > MAX_FLOW_WAITING) reported.statistics.dropped += 1;
    else socket.send([head, datagram], from.port, from.address, () => {});
  };
  socket.on('message', (datagram, from) => {
    if (from.address !== control.remoteAddress || (peer !== null && from.port !== peer)) return;
    const read = readSocksDatagram(datagram);
    if (read === null) {
      reported.statistics.dropped += 1;
      return;
    }
    peer ??= from.port;
    const target = { kind: 'udp', ...read.target } as const;
    const head = Buffer.from(read.head);
    flows.send(`${id} ${targetText(target)}`, read.bytes, () => ({ target, forward: reported, answer: answer(head, from) }));
  });
  control.write(socksReply(0, { v6, port: socket.address().port }));
  control.resume();
  await left;
  closed = true;
  socket.close();
  flows.end(`${id} `);
}

/** RFC 1928, section 4: the address that the program expects to send from; all zeros when it does not know. */
function requireOwn({ host }: SocksTarget, { remoteAddress = '' }: Socket): void {
  const named = parseAddress(host);
  const own = parseAddress(remoteAddress);
  // Nothing is left to serve for a program that has gone.
  if (own === null || (named !== null && (isUnspecified(named) || (named.family === own.family && named.value === own.value)))) return;
  throw new TowlineError('forbidden', 'A program on this machine wants its datagrams taken from an address that is not its own.', {
    hint: 'Have it name the address that it connects to the proxy from, or none.',
  });
}

/** Resolves when the program has left; one that says no more has. */
function leaving(control: Socket): Promise<void> {
  return new Promise((resolve) => {
    control.once('close', () => resolve()).once('end', () => control.end());
    if (control.readableEnded) control.end();
    if (control.closed) resolve();
  });
}
