import { setTimeout as pause } from 'node:timers/promises';
import { type Log, type OpenSession, type Store, TowlineError, toTowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { DeviceId } from '@towline/protocol';
import { claimedByActor, isRefusal, type JudgeAgainParts, judgeAgain } from '../sessions/judge-again.ts';
import type { DeviceLink } from './registry.ts';

/** Time after which sessions that could not be judged are judged again, milliseconds. */
const AGAIN_MS = 1_000;
const PAGE = 200;

/** What judging works with. */
export interface ReportedSessionsParts extends JudgeAgainParts {
  /** Sessions that this relay carries now, by their ids. */
  readonly joined: ReadonlyMap<string, unknown>;
  readonly log: Log;
}

/**
 * Judges anew the sessions that a device brings with it, and has it end those that would not be allowed now: access may have ended
 * while it was away. Goes on beside the link; whatever cannot be judged is tried again as long as the link lasts.
 */
export type ReportedSessions = (link: DeviceLink, ids: readonly string[]) => void;

/** Makes the judge. */
export function createReportedSessions(parts: ReportedSessionsParts): ReportedSessions {
  return (link, ids) => {
    // Those that this relay carries were judged here, and are whenever access ends.
    const waiting = new Set(ids.filter((id) => !parts.joined.has(id)));
    let over = false;
    void link.link.closed.then(() => {
      over = true;
    });
    const work = async () => {
      while (waiting.size > 0 && !over) {
        await judgeAll(parts, link, waiting).catch((error: unknown) =>
          parts.log.error('sessions could not be judged anew', { device: link.device.id, error }),
        );
        if (waiting.size > 0) await pause(AGAIN_MS, undefined, { ref: false });
      }
    };
    void work();
  };
}

async function judgeAll(parts: ReportedSessionsParts, link: DeviceLink, waiting: Set<string>): Promise<void> {
  const books = await openSessionsOf(parts.store, link.device.id);
  for (const id of [...waiting]) {
    const error = await refusalOf(parts, books.get(id));
    if (error !== null && !isRefusal(error)) {
      // The others must not wait for this one.
      parts.log.error('a session could not be judged anew; it is tried again', { device: link.device.id, session: id, error });
      continue;
    }
    waiting.delete(id);
    if (error === null) continue;
    parts.log.info('a session that a device brought with it ends', { device: link.device.id, session: id, code: error.code });
    link.send({ type: 'end_session', session: id, code: error.code, message: error.message });
  }
}

/** Null when it may go on. */
async function refusalOf(parts: ReportedSessionsParts, session: OpenSession | undefined): Promise<TowlineError | null> {
  if (session === undefined) return new TowlineError('session_ended', 'The relay has closed this session in its books.');
  try {
    await judgeAgain(parts, await claimedByActor(parts.store, session), session);
    return null;
  } catch (thrown) {
    const error = toTowlineError(thrown);
    const bare = error.code === 'not_found' || error.code === 'forbidden';
    return bare ? new TowlineError('access_ended', undefined, { cause: error }) : error;
  }
}

async function openSessionsOf(store: Store, deviceId: DeviceId): Promise<ReadonlyMap<string, OpenSession>> {
  const found = new Map<string, OpenSession>();
  let cursor: string | null | undefined;
  do {
    const page: Awaited<ReturnType<Store['sessions']['list']>> = await store.sessions.list(
      { deviceId },
      { limit: PAGE, ...(cursor ? { cursor } : {}) },
      SYSTEM_SCOPE,
    );
    for (const session of page.items) found.set(session.id, session);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
