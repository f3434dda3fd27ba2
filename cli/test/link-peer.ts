import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ByteStream, Link } from '@towline/contract';
import { createControlChannel, createLink } from '@towline/link';
import {
  type ClientOpen,
  type ClientToRelay,
  clientOpen,
  clientToRelay,
  createDeviceSession,
  type DeviceSessionEnd,
  frameMessage,
  openAnswer,
  type RelayToClient,
  refuse,
  relayToClient,
  type SessionId,
  TowlineError,
} from '@towline/protocol';
import type { RelayPeer } from './relay-peer.ts';
import { DEVICE_ID } from './views.ts';

/** What a test decides about each opening: an error refuses it, otherwise the session is served. */
export type Serve = (open: ClientOpen) => TowlineError | ((end: DeviceSessionEnd, link: Link, stream: ByteStream) => Promise<unknown>);

/** What the peer saw of the links. */
export interface SeenLinks {
  readonly headers: IncomingHttpHeaders[];
  readonly opens: ClientOpen[];
  /** Level and version of each hello. */
  readonly hellos: ClientToRelay[];
  readonly links: Link[];
}

/** Lets a peer take links of clients, and play relay and device in one. */
export function takeLinks(peer: RelayPeer, serve: Serve): SeenLinks {
  const seen: SeenLinks = { headers: [], opens: [], hellos: [], links: [] };
  peer.server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    seen.headers.push(request.headers);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: towline/1\r\n\r\n');
    const link = createLink(socket, { role: 'acceptor' });
    seen.links.push(link);
    link.onStream((stream) => {
      stream.on('error', () => undefined);
      if (stream.head.includes('/control/1')) welcome(stream, seen);
      else serveStream(stream, { serve, seen, link });
    });
  });
  return seen;
}

function welcome(stream: ByteStream, seen: SeenLinks): void {
  const control = createControlChannel<RelayToClient, ClientToRelay>(stream, { encode: relayToClient, decode: clientToRelay });
  void control.next(AbortSignal.timeout(5_000)).then((hello) => {
    seen.hellos.push(hello);
    control.send({ type: 'welcome', level: 1, time_ms: 0, principal: 'alice' });
  });
}

function serveStream(stream: ByteStream, { serve, seen, link }: { serve: Serve; seen: SeenLinks; link: Link }): void {
  const open = clientOpen.decode(stream.head);
  seen.opens.push(open);
  const decided = serve(open);
  if (decided instanceof TowlineError) {
    stream.end(frameMessage(openAnswer.encode(refuse(decided))));
    return;
  }
  const device = { id: DEVICE_ID, name: 'pi', fingerprint: `sha256:${'b'.repeat(64)}` };
  stream.write(frameMessage(openAnswer.encode({ status: 'accepted', received: 0, body: {}, device })));
  decided(createDeviceSession(stream, open.session as SessionId), link, stream).catch(() => undefined);
}
