import type { Log } from '@towline/contract';
import type { ControlChannel } from '@towline/link';
import {
  acceptGrantKeys,
  type DeviceToRelay,
  fromPublicError,
  type GrantKeyRecord,
  isErrorCode,
  parseApiKey,
  type RelayToDevice,
  type SessionId,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { causeOfEnd } from './cause-of-end.ts';
import type { LiveSessions } from './live-sessions.ts';

/** The control stream of a link, seen from the device. */
export type DeviceControl = ControlChannel<DeviceToRelay, RelayToDevice>;

/** What the messages of a relay act on. */
export interface ControlHost {
  readonly sessions: LiveSessions;
  readonly log: Log;
  readonly send: (message: DeviceToRelay) => void;
  /** The relay's time now, Unix milliseconds. */
  setRelayTime(timeMs: number): void;
  /** The relay has stored the journal up to a number. */
  acknowledge(received: number): void;
  /** Stores a renewed API key; it is used from the next link on. */
  storeApiKey(apiKey: string): Promise<void>;
  /** Grant keys that are held now. */
  readonly grantKeys: readonly GrantKeyRecord[];
  /** Takes over keys that a held one vouches for, or null when none does: nothing is admitted from then on. */
  useGrantKeys(keys: readonly GrantKeyRecord[] | null): Promise<void>;
}

/** Does what one message says. @throws TowlineError the relay's goodbye, or `protocol_error`. */
export async function obey(message: RelayToDevice, host: ControlHost): Promise<void> {
  switch (message.type) {
    case 'journal_ack':
      return host.acknowledge(message.received);
    case 'time':
      return host.setRelayTime(message.time_ms);
    case 'grant_keys':
      return host.useGrantKeys(acceptGrantKeys(host.grantKeys, message.grant_keys));
    case 'rotate':
      return rotate(message.api_key, host);
    case 'end_session':
      return endSession(message, host);
    case 'goodbye':
      throw fromPublicError(message);
    case 'challenge':
    case 'welcome':
      throw new TowlineError('protocol_error', `The relay sent a second ${message.type} message.`);
    // Echoes are the channel's own affair.
    case 'echo':
    case 'echo_reply':
  }
}

/** The relay forgets the old key when it hears of the new one, so that comes only after the new one is safe on disk. */
async function rotate(apiKey: string, host: ControlHost): Promise<void> {
  const key = parseApiKey(apiKey);
  if (key?.kind !== 'device') throw new TowlineError('protocol_error', 'The relay sent something else than the API key of a device.');
  try {
    await host.storeApiKey(apiKey);
  } catch (error) {
    // Unanswered, the relay goes on with the old key.
    const { code, message } = toTowlineError(error);
    return host.log.error('a renewed API key could not be stored', { key: key.id, code, message });
  }
  host.log.info('the API key was renewed', { key: key.id });
  host.send({ type: 'rotated', key_id: key.id });
}

function endSession({ session, code, message }: Extract<RelayToDevice, { type: 'end_session' }>, { sessions, log }: ControlHost): void {
  const error = new TowlineError(isErrorCode(code) ? code : 'session_ended', message);
  const known = sessions.end(session as SessionId, causeOfEnd(error), error);
  log.info('the relay ends a session', { session, code, message, known });
}
