import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { ByteStream, Link } from '@towline/contract';
import { createLink } from '../src/mux/create-link.ts';
import { connectNet } from './mux-pairs.ts';

/** Two links over TCP and one stream between them. */
export interface LinkedPair {
  readonly opener: Link;
  readonly acceptor: Link;
  readonly near: ByteStream;
  readonly far: ByteStream;
  readonly sockets: readonly [Socket, Socket];
  dispose(): void;
}

export async function openLinkedPair(): Promise<LinkedPair> {
  const sockets = await connectNet();
  const opener = createLink(sockets[0], { role: 'opener' });
  const acceptor = createLink(sockets[1], { role: 'acceptor' });
  const accepted = new Promise<ByteStream>((resolve) => acceptor.onStream(resolve));
  const near = opener.openStream(Buffer.from('/control/1'));
  const dispose = () => {
    for (const socket of sockets) socket.destroy();
  };
  return { opener, acceptor, near, far: await accepted, sockets, dispose };
}

/** Resolves once what was sent before has arrived and was handed to its readers. */
export async function settled(link: Link): Promise<void> {
  for (let times = 0; times < 3; times += 1) await link.ping(AbortSignal.timeout(5_000));
}

/** Resolves when the stream has closed, also when it has already. */
export async function closing(stream: ByteStream): Promise<void> {
  if (!stream.closed) await once(stream, 'close');
}
