import type { Duplex } from 'node:stream';
import type { Log, PreparedSession } from '@towline/contract';
import {
  createDeviceSession,
  type DeviceSession,
  type DeviceSessionEnd,
  type SessionEnd,
  type SessionResult,
  toTowlineError,
} from '@towline/protocol';
import { causeOfEnd } from './cause-of-end.ts';
import type { SessionAccount } from './journal.ts';
import type { LiveSession } from './live-sessions.ts';

/** What a session runs. */
export interface SessionWork {
  readonly prepared: PreparedSession;
  readonly log: Log;
}

/** Runs a session on a stream whose answer was sent. Resolves with what it did, once all it started is over. */
export async function runSession(stream: Duplex, live: LiveSession, work: SessionWork): Promise<SessionAccount> {
  const device = createDeviceSession(stream, live.id);
  live.begin(device);
  const result = await runHandler(device.session, work);
  const end = await finish(device, live, result);
  const { bytesToDevice, bytesFromDevice } = device.session;
  return { session: live.id, bytesToDevice, bytesFromDevice, end };
}

async function runHandler(session: DeviceSession, { prepared, log }: SessionWork): Promise<SessionResult> {
  try {
    return await prepared.run(session);
  } catch (error) {
    const { code, message, detail } = toTowlineError(error);
    if (!session.signal.aborted) log.error('a session failed', { session: session.id, code, message, detail });
    return { reason: 'failed', message };
  }
}

/** The result counts only when the client has it: then both ends and the journal say the same. */
async function finish(device: DeviceSessionEnd, live: LiveSession, result: SessionResult): Promise<SessionEnd> {
  const { signal } = device.session;
  try {
    if (!signal.aborted) {
      await device.finish(result);
      return result;
    }
  } catch {
    // Why the session broke is the reason of its signal.
  }
  const { exit_code, signal: killedBy } = result;
  return {
    ...(exit_code === undefined ? {} : { exit_code }),
    ...(killedBy === undefined ? {} : { signal: killedBy }),
    ...(live.cause ?? causeOfEnd(toTowlineError(signal.reason))),
  };
}
