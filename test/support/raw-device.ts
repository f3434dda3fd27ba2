import type { KeyObject } from 'node:crypto';
import type { ByteStream, DialTransport, Link, RegistrationView } from '@towline/contract';
import { type ControlChannel, createControlChannel } from '@towline/link';
import {
  claimText,
  createDeviceKeyPair,
  createId,
  type DeviceId,
  type DeviceToRelay,
  deviceOpen,
  deviceToRelay,
  fingerprintOf,
  frameMessage,
  openAnswer,
  parsePrivateKey,
  proofText,
  type RegistrationId,
  type RelayToDevice,
  registrationText,
  relayOpen,
  relayToDevice,
  type SessionId,
  signText,
} from '@towline/protocol';
import { createTlsDial } from '@towline/transport-tls/dial';
import { STEP_MS } from './process.ts';
import { bodyOf, type RelayApi } from './relay-api.ts';
import type { TestRelay } from './system.ts';

/** Who a device is: an id and a key pair, which a test may mix up. */
export interface RawIdentity {
  readonly id: DeviceId;
  readonly publicKey: string;
  readonly privateKey: KeyObject;
  readonly fingerprint: string;
}

/** A new identity; with `id` one that claims the id of another. */
export function createIdentity(id: DeviceId = createId<DeviceId>()): RawIdentity {
  const { publicKey, privateKey } = createDeviceKeyPair();
  return { id, publicKey, privateKey: parsePrivateKey(privateKey)!, fingerprint: fingerprintOf(publicKey) };
}

/** Facts as a machine gives them. */
export const FACTS = Object.freeze({ hostname: 'pi.local', platform: 'linux', arch: 'arm64', version: '1.0.0' });

/** Body of a request to enrol, signed as it should be. */
export function registrationBody(identity: RawIdentity, { name, owner }: { readonly name: string; readonly owner?: string }) {
  const { id, publicKey, privateKey } = identity;
  return {
    device_id: id,
    public_key: publicKey,
    name,
    ...(owner === undefined ? {} : { owner }),
    facts: FACTS,
    signature: signText(registrationText({ deviceId: id, publicKey, owner: owner ?? '', name }), privateKey),
  };
}

/** Body of a claim, signed as it should be. */
export function claimBody({ id, privateKey }: RawIdentity, { relay, id: registration }: { readonly relay: string; readonly id: string }) {
  return {
    device_id: id,
    signature: signText(claimText({ relay, registration: registration as RegistrationId, deviceId: id }), privateKey),
  };
}

/** Asks to be enrolled. */
export async function requestEnrolment(
  api: RelayApi,
  identity: RawIdentity,
  asked: { readonly name: string; readonly owner?: string; readonly key?: string },
): Promise<RegistrationView> {
  const answer = await api.call('POST', '/v1/registrations', { key: asked.key, body: registrationBody(identity, asked) });
  return bodyOf<RegistrationView>(answer, 201);
}

/** A device that was approved and fetched its key. */
export interface EnrolledRawDevice {
  readonly identity: RawIdentity;
  readonly request: RegistrationView;
  readonly apiKey: string;
}

/** Enrols a device by hand, approved by the relay's first admin. */
export async function enrolRawDevice(
  api: RelayApi,
  asked: { readonly name: string; readonly owner: string; readonly identity?: RawIdentity },
): Promise<EnrolledRawDevice> {
  const identity = asked.identity ?? createIdentity();
  const request = await requestEnrolment(api, identity, { name: asked.name, owner: asked.owner });
  bodyOf(await api.call('POST', `/v1/registrations/${request.id}/approve`, { key: api.relay.adminKey }));
  const claimed = await api.call('POST', `/v1/registrations/${request.id}/claim`, { body: claimBody(identity, request) });
  return { identity, request, apiKey: bodyOf<{ api_key: string }>(claimed).api_key };
}

/** The control stream of a link, seen from a device. */
export type RawControl = ControlChannel<DeviceToRelay, RelayToDevice>;
type Challenge = Extract<RelayToDevice, { type: 'challenge' }>;

/** The dialler that is used unless a test names another. */
const TLS = createTlsDial({ environment: {}, warn: () => {} });

/** What a device says to the challenge. Each part may be a lie. */
export interface Proof {
  /** How the device dials; TLS unless told. */
  readonly transport?: DialTransport;
  readonly identity: RawIdentity;
  readonly device?: DeviceId;
  readonly signedDevice?: DeviceId;
  readonly relay?: string;
  readonly nonce?: string;
  readonly instance?: string;
  readonly signedInstance?: string;
  /** What it says it can do; nothing, unless told. */
  readonly features?: readonly string[];
}

/** A device's link after its proof was sent. */
export interface RawDeviceLink extends AsyncDisposable {
  readonly link: Link;
  readonly control: RawControl;
  /** What the relay says next; `null` when the link ended first. */
  readonly answer: RelayToDevice | null;
  /** Protocol and body of each opening that reached the device; all are accepted and left open. */
  readonly openings: { readonly protocol: string; readonly body: unknown; readonly stream: ByteStream }[];
}

/** Dials the relay as a device. @throws TowlineError what the upgrade was refused with. */
export async function dialDevice(relay: TestRelay, apiKey: string, transport = TLS): Promise<Link> {
  return transport.dial({
    relay: new URL(relay.url),
    role: 'device',
    credential: { header: 'X-API-Key', value: apiKey },
    trust: { fingerprint: relay.fingerprint },
    signal: AbortSignal.timeout(STEP_MS),
  });
}

/** Links as a device and answers the challenge. */
export async function linkDevice(relay: TestRelay, apiKey: string, proof: Proof): Promise<RawDeviceLink> {
  const link = await dialDevice(relay, apiKey, proof.transport);
  const openings: RawDeviceLink['openings'] = [];
  const first = new Promise<ByteStream>((resolve, reject) => {
    void link.closed.then(({ code }) => reject(new Error(`the link ended before the challenge: ${code}`)));
    let streams = 0;
    link.onStream((stream) => {
      streams += 1;
      if (streams === 1) resolve(stream);
      else openings.push(acceptOpening(stream));
    });
  });
  const control: RawControl = createControlChannel<DeviceToRelay, RelayToDevice>(await first, {
    encode: deviceToRelay,
    decode: relayToDevice,
  });
  const challenge = (await control.next(AbortSignal.timeout(STEP_MS))) as Challenge;
  control.send(prove(challenge, proof));
  const answer = await control.next(AbortSignal.timeout(STEP_MS)).catch(() => null);
  control.onMessage(() => {});
  return { link, control, answer, openings, [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.') };
}

function prove(challenge: Challenge, proof: Proof): DeviceToRelay {
  const { identity, device = identity.id, relay = challenge.relay, nonce = challenge.nonce } = proof;
  const instance = proof.instance ?? createId<SessionId>();
  const text = proofText({ relay, deviceId: proof.signedDevice ?? device, nonce, instance: proof.signedInstance ?? instance });
  return {
    type: 'proof',
    level: 1,
    device,
    signature: signText(text, identity.privateKey),
    instance,
    hostname: FACTS.hostname,
    version: FACTS.version,
    serves: ['/exec/1', '/files/1', '/forward/1', '/shell/1'],
    sessions: [],
    ...(proof.features === undefined ? {} : { features: [...proof.features] }),
  };
}

function acceptOpening(stream: ByteStream): RawDeviceLink['openings'][number] {
  stream.on('error', () => {});
  const { open } = relayOpen.decode(stream.head);
  const { protocol, body } = deviceOpen.decode(Buffer.from(open));
  stream.write(frameMessage(openAnswer.encode({ status: 'accepted', received: 0, body: {} })));
  stream.resume();
  return { protocol, body, stream };
}
