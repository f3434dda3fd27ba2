import type { Socket } from 'node:net';
import type { ByteStream, Link } from '@towline/contract';
import { clientToRelay, frameMessage } from '@towline/protocol';
import { createControlChannel } from '../src/control-channel.ts';
import { createLink } from '../src/mux/create-link.ts';
import { connectMemory, connectNet } from './mux-pairs.ts';

/** Two ends of a link over loopback, and the socket under each. */
export interface LinkedPair extends AsyncDisposable {
  readonly opener: Link;
  readonly acceptor: Link;
  readonly openerSocket: Socket;
  readonly acceptorSocket: Socket;
  /** Opens a stream; resolves with both its ends. */
  openStream(): Promise<readonly [ByteStream, ByteStream]>;
}

/** Makes a link over a TCP connection. */
export async function linkedPair(): Promise<LinkedPair> {
  const [openerSocket, acceptorSocket] = await connectNet();
  const opener = createLink(openerSocket, { role: 'opener' });
  const acceptor = createLink(acceptorSocket, { role: 'acceptor' });
  return {
    opener,
    acceptor,
    openerSocket,
    acceptorSocket,
    openStream: () =>
      new Promise((resolve) => {
        acceptor.onStream((stream) => resolve([near, stream]));
        const near = opener.openStream(Buffer.from('head'));
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([opener.close('link_closed', 'The test is over.', 0), acceptor.close('link_closed', 'The test is over.', 0)]);
    },
  };
}

/** Two ends of bytes in memory that pass for a stream each, chunks arriving as they were written. */
export function streamPair(): readonly [ByteStream, ByteStream] {
  const [near, far] = connectMemory();
  const head = Buffer.from('head');
  return [Object.assign(near, { head }), Object.assign(far, { head })];
}

/** A control channel that speaks as a client does, in both directions. */
export function clientChannel(stream: ByteStream) {
  return createControlChannel(stream, { encode: clientToRelay, decode: clientToRelay });
}

/** A message that a test can tell from others. */
export function hello(version: number | string) {
  return { type: 'hello', level: 1, version: String(version) } as const;
}

/** The same, as it goes over the wire. */
export function helloBytes(version: number | string): Buffer {
  return frameMessage(clientToRelay.encode(hello(version)));
}

/** What a promise of an event comes to, or an error that says what did not happen in time. */
export async function within<Value>(promise: Promise<Value>, what: string, deadlineMs = 15_000): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs} ms`)), deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
