import { hostname } from 'node:os';
import {
  acceptGrantKeys,
  type DeviceToRelay,
  fromPublicError,
  type GrantKeyRecord,
  PROTOCOL_LEVEL,
  proofText,
  type RelayToDevice,
  SECRETS_FEATURE,
  type SessionId,
  signText,
  TowlineError,
} from '@towline/protocol';
import type { DeviceControl } from './control.ts';
import type { Identity } from './identity.ts';
import { VERSION } from './version.ts';

type MessageOf<Type extends RelayToDevice['type']> = Extract<RelayToDevice, { type: Type }>;

/** What a device says of itself at each link. */
export interface LogInOptions {
  readonly identity: Identity;
  /** Relay the device is enrolled at; undefined for a key that was put there by hand and is used for the first time. */
  readonly relayId: string | undefined;
  /** Keys the device holds; undefined as above. */
  readonly grantKeys: readonly GrantKeyRecord[] | undefined;
  /** Random per start of the runtime. */
  readonly instance: string;
  readonly serves: readonly string[];
  readonly sessions: readonly SessionId[];
  /** The device holds an older link too, whose sessions go on. */
  readonly beside: boolean;
  /** Why the device came by this transport and not a better one. */
  readonly transportNote: string | undefined;
}

/** What the relay and the device agreed on. */
export interface LoggedIn {
  readonly relayId: string;
  readonly nonce: string;
  readonly name: string;
  /** The relay's time when the welcome came, Unix milliseconds. */
  readonly relayTimeMs: number;
  /** Keys to go on with; null when none that the device holds vouches for those of the relay. */
  readonly grantKeys: readonly GrantKeyRecord[] | null;
  readonly journalReceived: number;
}

/**
 * Proves to the relay who the device is, and makes sure that it is the relay the device was enrolled at.
 * @throws TowlineError `relay_untrusted` for another relay, `protocol_error`, or what the relay said goodbye with.
 */
export async function logIn(control: DeviceControl, options: LogInOptions, signal: AbortSignal): Promise<LoggedIn> {
  const challenge = await expectMessage(control, 'challenge', signal);
  if (options.relayId !== undefined && challenge.relay !== options.relayId) throw otherRelay();
  control.send(prove(challenge, options));
  const welcome = await expectMessage(control, 'welcome', signal);
  if (welcome.device !== options.identity.deviceId) throw new TowlineError('protocol_error', 'The relay welcomed another device.');
  if (welcome.level > PROTOCOL_LEVEL) throw new TowlineError('protocol_error', `The relay wants to speak level ${welcome.level}.`);
  return {
    relayId: challenge.relay,
    nonce: challenge.nonce,
    name: welcome.name,
    relayTimeMs: welcome.time_ms,
    grantKeys: options.grantKeys === undefined ? firstKeys(welcome) : acceptGrantKeys(options.grantKeys, welcome.grant_keys),
    journalReceived: welcome.journal_received,
  };
}

function prove(challenge: MessageOf<'challenge'>, options: LogInOptions): DeviceToRelay {
  const { identity, instance, serves, sessions, beside, transportNote } = options;
  const text = proofText({ relay: challenge.relay, deviceId: identity.deviceId, nonce: challenge.nonce, instance });
  return {
    type: 'proof',
    level: Math.min(challenge.level, PROTOCOL_LEVEL),
    device: identity.deviceId,
    signature: signText(text, identity.privateKey),
    instance,
    hostname: hostname().slice(0, 255),
    version: VERSION,
    serves: [...serves],
    features: [SECRETS_FEATURE],
    sessions: [...sessions],
    ...(beside ? { beside } : {}),
    ...(transportNote === undefined ? {} : { transport_note: transportNote }),
  };
}

/** A key put there by hand brings no grant keys along: those of the relay it first proves itself to are taken. */
function firstKeys(welcome: MessageOf<'welcome'>): readonly GrantKeyRecord[] | null {
  return welcome.grant_keys.length === 0 ? null : welcome.grant_keys;
}

async function expectMessage<Type extends RelayToDevice['type']>(
  control: DeviceControl,
  type: Type,
  signal: AbortSignal,
): Promise<MessageOf<Type>> {
  const message = await control.next(signal);
  if (message.type === type) return message as MessageOf<Type>;
  if (message.type === 'goodbye') throw fromPublicError(message);
  throw new TowlineError('protocol_error', `The relay sent a ${message.type} message where a ${type} was due.`);
}

function otherRelay(): TowlineError {
  return new TowlineError('relay_untrusted', 'The relay there is not the one this device was enrolled at.', {
    hint: 'If it was set up anew, run `towline runtime logout` and enrol the device again; if not, someone stands between.',
  });
}
