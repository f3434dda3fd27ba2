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

const ADA = { account: 'ada' };
const BOB = { account: 'bob' };

describe('the live sessions of a device', () => {
  it('admits as many as the limit and frees a place once', () => {
    const sessions = new LiveSessions(2);
    const first = sessions.admit(createId<SessionId>(), ADA);
    sessions.admit(createId<SessionId>(), ADA);
    expect(codeOf(() => sessions.admit(createId<SessionId>(), ADA))).toBe('session_limit');
    first.release();
    first.release();
    sessions.admit(createId<SessionId>(), ADA);
    expect(codeOf(() => sessions.admit(createId<SessionId>(), ADA))).toBe('session_limit');
  });

  it('refuses an id that is in use, and the late release of an old session leaves its successor alone', () => {
    const sessions = new LiveSessions(2);
    const id = createId<SessionId>();
    const first = sessions.admit(id, ADA);
    expect(codeOf(() => sessions.admit(id, ADA))).toBe('conflict');
    first.release();
    sessions.admit(id, ADA);
    first.release();
    expect(sessions.ids).toEqual([id]);
  });

  it('tells when none is left, or that the wait is given up', async () => {
    const sessions = new LiveSessions(2);
    const live = sessions.admit(createId<SessionId>(), ADA);
    const waiting = sessions.whenEmpty(new AbortController().signal);
    live.release();
    await waiting;
    sessions.admit(createId<SessionId>(), ADA);
    await sessions.whenEmpty(AbortSignal.abort());
  });

  it('keeps the first cause of an end', () => {
    const sessions = new LiveSessions(1);
    const live = sessions.admit(createId<SessionId>(), ADA);
    expect(sessions.end(live.id, { reason: 'limit' }, new TowlineError('session_ended'))).toBe(true);
    sessions.endAll({ reason: 'runtime_stopped' }, new TowlineError('device_offline'));
    expect(live.cause).toEqual({ reason: 'limit' });
    expect(sessions.end(createId<SessionId>(), { reason: 'limit' }, new TowlineError('session_ended'))).toBe(false);
  });

  it.each(['session', 'connection'] as const)('keeps places of each kind for others (%s), and tells a share from a limit', (kind) => {
    const sessions = new LiveSessions(8, 8);
    const admit = (who: { account: string }) => sessions.admit(createId<SessionId>(), { ...who, kind });
    const held = Array.from({ length: 6 }, () => admit(ADA));
    expect(() => admit(ADA)).toThrow(expect.objectContaining({ code: 'session_limit', message: expect.stringContaining('your share') }));
    admit(BOB);
    admit(BOB);
    expect(() => admit(BOB)).toThrow(expect.objectContaining({ code: 'session_limit', message: expect.stringContaining('Too many') }));
    expect(() => admit(BOB)).toThrow(expect.objectContaining({ hint: expect.stringContaining(`limits.${kind}s`) }));
    // What others do with the one kind leaves the other alone.
    sessions.admit(createId<SessionId>(), { ...ADA, kind: kind === 'session' ? 'connection' : 'session' });
    for (const live of held) live.release();
    for (const _ of [1, 2, 3]) admit(BOB);
  });
});
