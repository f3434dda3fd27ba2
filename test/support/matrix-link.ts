import type { Link, TowlineError } from '@towline/contract';
import { createControlChannel, readMessage } from '@towline/link';
import {
  type ClientToRelay,
  CONTROL_PROTOCOL,
  clientOpen,
  clientToRelay,
  createId,
  encodeJson,
  MAX_CONTROL_MESSAGE,
  openAnswer,
  PROTOCOL_LEVEL,
  type RelayToClient,
  relayToClient,
  type SessionId,
} from '@towline/protocol';
import { createTlsDial } from '@towline/transport-tls/dial';
import type { StreamRow } from '../matrix/expectations.ts';
import type { SentCredential } from './matrix-credentials.ts';
import { STEP_MS } from './process.ts';
import type { TestRelay } from './system.ts';

const TLS = createTlsDial({ environment: {}, warn: () => {} });

/** A client's link by any kind of credential. */
export interface MatrixLink extends AsyncDisposable {
  /** Opens a stream and leaves it open. `answer`: `accepted`, or code and text of the refusal with what was asked for as ID. */
  open(
    device: string,
    row: Pick<StreamRow, 'protocol' | 'body'>,
  ): Promise<{ readonly answer: string; readonly whole: string; readonly session: string }>;
}

/** Links as somebody. @throws TowlineError what the upgrade was refused with. */
export async function linkAs(relay: TestRelay, sent: Exclude<SentCredential, null>): Promise<MatrixLink> {
  const link = await TLS.dial({
    relay: new URL(relay.url),
    role: 'client',
    credential: sent,
    trust: { fingerprint: relay.fingerprint },
    signal: AbortSignal.timeout(STEP_MS),
  });
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel<ClientToRelay, RelayToClient>(stream, { encode: clientToRelay, decode: relayToClient });
  control.send({ type: 'hello', level: PROTOCOL_LEVEL, version: 'test' });
  await control.next(AbortSignal.timeout(STEP_MS));
  control.onMessage(() => {});
  return {
    open: (device, row) => openOn(link, device, row),
    [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.'),
  };
}

/** What linking as somebody came to: `linked`, or the code of the refusal. */
export async function outcomeOfLinking(relay: TestRelay, sent: Exclude<SentCredential, null>): Promise<string> {
  try {
    await using _link = await linkAs(relay, sent);
    return 'linked';
  } catch (error) {
    return (error as TowlineError).code;
  }
}

async function openOn(link: Link, device: string, { protocol, body }: Pick<StreamRow, 'protocol' | 'body'>) {
  const session = createId<SessionId>();
  const stream = link.openStream(clientOpen.encode({ device, session, protocol, body: { ...body } as never }));
  stream.on('error', () => {});
  const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(STEP_MS)));
  stream.resume();
  const whole = JSON.stringify(answer).replaceAll(device, 'ID').replaceAll(session, 'SESSION');
  return { answer: answer.status === 'refused' ? answer.code : answer.status, whole, session };
}
