import type { ByteStream, Link } from '@towline/contract';
import { type ControlChannel, createControlChannel } from '@towline/link';
import {
  createId,
  type DeviceToRelay,
  deviceToRelay,
  frameMessage,
  openAnswer,
  proofText,
  type RelayToDevice,
  relayToDevice,
  type SessionId,
  signText,
} from '@towline/protocol';
import { FACTS, type RawIdentity } from '../../../test/support/raw-device.ts';

/** How a device logs in. */
export interface RawLogin {
  readonly identity: RawIdentity;
  readonly instance?: SessionId;
  readonly beside?: boolean;
  readonly transportNote?: string;
  /** Ids of the sessions it says live on it. */
  readonly sessions?: readonly string[];
}

type Goodbye = Extract<RelayToDevice, { type: 'goodbye' }>;

/** A device that logged in. */
export interface LoggedIn extends AsyncDisposable {
  readonly link: Link;
  readonly control: ControlChannel<DeviceToRelay, RelayToDevice>;
  /** What the relay said to the proof; null when it closed the link. */
  readonly answer: RelayToDevice | null;
  /** What came on the control stream later. */
  readonly said: readonly RelayToDevice[];
  /** Why the relay ends the link; null when it ended without a word. */
  readonly goodbye: Promise<Goodbye | null>;
  /** Streams that the relay opened; each was accepted, and is left open. */
  readonly openings: readonly ByteStream[];
}

/** Logs in as a device on a link that it dialled. */
export async function logInAs(link: Link, login: RawLogin): Promise<LoggedIn> {
  const openings: ByteStream[] = [];
  const said: RelayToDevice[] = [];
  const first = await new Promise<ByteStream>((resolve, reject) => {
    void link.closed.then(({ code }) => reject(new Error(`the link ended before the challenge: ${code}`)));
    let streams = 0;
    link.onStream((stream) => {
      streams += 1;
      if (streams === 1) resolve(stream);
      else openings.push(accept(stream));
    });
  });
  const control = createControlChannel<DeviceToRelay, RelayToDevice>(first, { encode: deviceToRelay, decode: relayToDevice });
  const challenge = await control.next(AbortSignal.timeout(10_000));
  if (challenge.type !== 'challenge') throw new Error(`no challenge: ${challenge.type}`);
  control.send(prove(challenge, login));
  const answer = await control.next(AbortSignal.timeout(10_000)).catch(() => null);
  const goodbye = new Promise<Goodbye | null>((resolve) => {
    if (answer?.type === 'goodbye') resolve(answer);
    control.onMessage((message) => {
      said.push(message);
      if (message.type === 'goodbye') resolve(message);
    });
    void link.closed.then(() => resolve(null));
  });
  return { link, control, answer, said, goodbye, openings, [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.') };
}

function prove({ relay, nonce }: Extract<RelayToDevice, { type: 'challenge' }>, login: RawLogin): DeviceToRelay {
  const { identity, instance = createId<SessionId>(), beside, transportNote, sessions = [] } = login;
  return {
    type: 'proof',
    level: 1,
    device: identity.id,
    signature: signText(proofText({ relay, deviceId: identity.id, nonce, instance }), identity.privateKey),
    instance,
    hostname: FACTS.hostname,
    version: FACTS.version,
    serves: ['/exec/1', '/shell/1'],
    sessions: [...sessions],
    ...(beside === undefined ? {} : { beside }),
    ...(transportNote === undefined ? {} : { transport_note: transportNote }),
  };
}

function accept(stream: ByteStream): ByteStream {
  stream.on('error', () => {});
  stream.write(frameMessage(openAnswer.encode({ status: 'accepted', received: 0, body: {} })));
  stream.resume();
  return stream;
}
