import { createId, deviceToRelay, MAX_CONTROL_MESSAGE, type SessionId } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SessionJournal } from '../src/journal.ts';

function journalAt(start = 0, maxEntries?: number) {
  const clock = { nowMs: start };
  const options = { monotonicMs: () => clock.nowMs, ...(maxEntries === undefined ? {} : { maxEntries }) };
  return { clock, journal: new SessionJournal(options) };
}
const account = (session: SessionId, message?: string) => ({
  session,
  bytesToDevice: 1,
  bytesFromDevice: 2,
  end: { reason: 'exited' as const, exit_code: 0, ...(message === undefined ? {} : { message }) },
});

describe('the session journal', () => {
  it('numbers entries and tells how long ago each happened when it is asked', () => {
    const { clock, journal } = journalAt();
    const session = createId<SessionId>();
    journal.start(session, '/exec/1');
    clock.nowMs = 30;
    journal.end(account(session));
    clock.nowMs = 100;
    expect(journal.after(0, 100)).toMatchObject([
      { type: 'start', number: 1, age_ms: 100, session },
      { type: 'end', number: 2, age_ms: 70, session, bytes_to_device: 1, bytes_from_device: 2 },
    ]);
  });

  it('keeps entries until they are acknowledged, and only those', () => {
    const { journal } = journalAt();
    for (let at = 0; at < 3; at += 1) journal.start(createId<SessionId>(), '/exec/1');
    journal.acknowledge(2);
    expect(journal.after(0, 10).map((entry) => entry.number)).toEqual([3]);
    journal.acknowledge(99);
    expect(journal.size).toBe(1);
  });

  it('continues after the numbers of an earlier run of the device', () => {
    const { journal } = journalAt();
    journal.resumeAfter(41);
    journal.start(createId<SessionId>(), '/exec/1');
    expect(journal.after(0, 10).map((entry) => entry.number)).toEqual([42]);
  });

  it('renumbers what it holds when the relay knows higher numbers than were ever written here', () => {
    const { journal } = journalAt();
    journal.start(createId<SessionId>(), '/exec/1');
    journal.resumeAfter(7);
    journal.start(createId<SessionId>(), '/exec/1');
    expect(journal.after(7, 10).map((entry) => entry.number)).toEqual([8, 9]);
  });

  it('keeps notes between the start and the end of their session, and refuses those that take the room of sessions', () => {
    const { journal } = journalAt(0, 8);
    const session = createId<SessionId>();
    journal.start(session, '/files/1');
    const note = (path: string) => journal.note(session, { outcome: 'ok', detail: { operation: 'read', path, bytes: 3 } });
    expect([note('a'), note('b'), note('c')]).toEqual([true, true, false]);
    journal.end(account(session));
    expect(journal.after(0, 10).map(({ type }) => type)).toEqual(['start', 'note', 'note', 'end']);
    expect(journal.full).toBe(false);
    expect(() => note('x'.repeat(2_000))).toThrow('too long');
  });

  it('is full while the end of a running session would not fit any more', () => {
    const { journal } = journalAt(0, 4);
    const [first, second] = [createId<SessionId>(), createId<SessionId>()];
    journal.start(first, '/exec/1');
    expect(journal.full).toBe(false);
    journal.start(second, '/exec/1');
    expect(journal.full).toBe(true);
    journal.end(account(first));
    journal.end(account(second));
    expect(journal.full).toBe(true);
    journal.acknowledge(4);
    expect(journal.full).toBe(false);
  });

  it('makes a full batch fit one control message, whatever the texts of the ends are', () => {
    const { journal } = journalAt();
    for (let at = 0; at < 100; at += 1) {
      const session = createId<SessionId>();
      journal.start(session, '/exec/1');
      journal.end(account(session, '\u0007\u{1f600}"'.repeat(1_000)));
    }
    const ends = journal.after(0, 200).filter((entry) => entry.type === 'end');
    expect(ends).toHaveLength(100);
    expect(deviceToRelay.encode({ type: 'journal', entries: ends }).length).toBeLessThan(MAX_CONTROL_MESSAGE);
  });

  it('never loses or doubles an unacknowledged entry, in whatever order things happen', () => {
    const step = fc.record({ kind: fc.constantFrom('start', 'ack', 'welcome'), number: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { journal } = journalAt();
        for (const { kind, number } of steps) {
          const before = journal.after(0, 1_000);
          const session = createId<SessionId>();
          if (kind === 'start') journal.start(session, '/exec/1');
          else if (kind === 'ack') journal.acknowledge(number);
          else journal.resumeAfter(number);
          const after = journal.after(0, 1_000);
          // A number beyond those ever written here is not an acknowledgement of them.
          const left = number > (before.at(-1)?.number ?? 0) ? before : before.filter((entry) => entry.number > number);
          const expected = kind === 'start' ? [...before.map((entry) => entry.session), session] : left.map((entry) => entry.session);
          expect(after.map((entry) => entry.session)).toEqual(expected);
          expect(after.map((entry) => entry.number)).toEqual(after.map((_entry, index) => after[0]!.number + index));
        }
      }),
    );
  });
});
