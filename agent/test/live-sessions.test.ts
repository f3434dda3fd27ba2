import { createId, type SessionId, TowlineError } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { LiveSessions } from '../src/live-sessions.ts';

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (error) {
    return (error as TowlineError).code;
  }
  return 'admitted';
};

describe('the live sessions of a device', () => {
  it('admits as many as the limit and frees a place once', () => {
    const sessions = new LiveSessions(2);
    const first = sessions.admit(createId<SessionId>());
    sessions.admit(createId<SessionId>());
    expect(codeOf(() => sessions.admit(createId<SessionId>()))).toBe('session_limit');
    first.release();
    first.release();
    sessions.admit(createId<SessionId>());
    expect(codeOf(() => sessions.admit(createId<SessionId>()))).toBe('session_limit');
  });

  it('refuses an id that is in use, and the late release of an old session leaves its successor alone', () => {
    const sessions = new LiveSessions(2);
    const id = createId<SessionId>();
    const first = sessions.admit(id);
    expect(codeOf(() => sessions.admit(id))).toBe('conflict');
    first.release();
    sessions.admit(id);
    first.release();
    expect(sessions.ids).toEqual([id]);
  });

  it('tells when none is left, or that the wait is given up', async () => {
    const sessions = new LiveSessions(2);
    const live = sessions.admit(createId<SessionId>());
    const waiting = sessions.whenEmpty(new AbortController().signal);
    live.release();
    await waiting;
    sessions.admit(createId<SessionId>());
    await sessions.whenEmpty(AbortSignal.abort());
  });

  it('keeps the first cause of an end', () => {
    const sessions = new LiveSessions(1);
    const live = sessions.admit(createId<SessionId>());
    expect(sessions.end(live.id, { reason: 'limit' }, new TowlineError('session_ended'))).toBe(true);
    sessions.endAll({ reason: 'runtime_stopped' }, new TowlineError('device_offline'));
    expect(live.cause).toEqual({ reason: 'limit' });
    expect(sessions.end(createId<SessionId>(), { reason: 'limit' }, new TowlineError('session_ended'))).toBe(false);
  });
});
