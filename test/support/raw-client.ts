import type { Link } from '@towline/contract';
import { createControlChannel, readMessage } from '@towline/link';
import {
  type ClientToRelay,
  CONTROL_PROTOCOL,
  clientOpen,
  clientToRelay,
  createId,
  encodeJson,
  type JsonObject,
  MAX_CONTROL_MESSAGE,
  type OpenAnswer,
  openAnswer,
  PROTOCOL_LEVEL,
  type RelayToClient,
  relayToClient,
  type SessionId,
} from '@towline/protocol';
import { createTlsDial } from '@towline/transport-tls/dial';
import { STEP_MS } from './process.ts';
import type { TestRelay } from './system.ts';

/** The dialler that is used unless a test names another. */
const TLS = createTlsDial({ environment: {}, warn: () => {} });
/** Body of an exec of `true`. */
const TRUE = Object.freeze({ argv: ['true'], stdin: false });

/** What is opened: an exec of `true`, unless told. */
export interface RawOpening {
  readonly protocol?: string;
  readonly body?: JsonObject;
}

/** A client's link to the relay, on which a test opens what it likes. */
export interface RawClient extends AsyncDisposable {
  readonly link: Link;
  /** Principal by which the relay welcomed it. */
  readonly principal: string;
  /** Opens a stream and leaves it open; answers the code of a refusal, or `accepted`. */
  open(device: string, opening?: RawOpening): Promise<string>;
  /** Session ids, in the order in which they were opened. */
  readonly sessions: SessionId[];
}

/** Links as a client, over TLS unless told. @throws TowlineError what the upgrade was refused with. */
export async function linkClient(relay: TestRelay, key: string, transport = TLS): Promise<RawClient> {
  const link = await transport.dial({
    relay: new URL(relay.url),
    role: 'client',
    credential: { header: 'X-API-Key', value: key },
    trust: { fingerprint: relay.fingerprint },
    signal: AbortSignal.timeout(STEP_MS),
  });
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel<ClientToRelay, RelayToClient>(stream, { encode: clientToRelay, decode: relayToClient });
  control.send({ type: 'hello', level: PROTOCOL_LEVEL, version: 'test' });
  const welcome = await control.next(AbortSignal.timeout(STEP_MS));
  if (welcome.type !== 'welcome') throw new Error(`not welcomed: ${JSON.stringify(welcome)}`);
  control.onMessage(() => {});
  const sessions: SessionId[] = [];
  return {
    link,
    principal: welcome.principal,
    sessions,
    async open(device, opening = {}) {
      const session = createId<SessionId>();
      sessions.push(session);
      const answer = await openOn(link, { device, session, protocol: opening.protocol ?? '/exec/1', body: opening.body ?? TRUE });
      return answer.status === 'refused' ? answer.code : answer.status;
    },
    [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.'),
  };
}

async function openOn(link: Link, open: Parameters<typeof clientOpen.encode>[0]): Promise<OpenAnswer> {
  const stream = link.openStream(clientOpen.encode(open));
  stream.on('error', () => {});
  const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(STEP_MS)));
  stream.resume();
  return answer;
}
