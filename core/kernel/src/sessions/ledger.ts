import { type AuditEvent, type Clock, type Log, type OpenSession, type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type DeviceId, defined, isErrorCode, type JsonObject, type Scope, type SessionEnd, type SessionId } from '@towline/protocol';
import { maskApiKeys } from '../redaction.ts';

/** How long the relay waits for the device's word on the end of a session whose stream is over, milliseconds. */
export const JOURNAL_GRACE_MS = 10_000;
/** Notes of one session that are recorded: a device must not fill the trail. Ours keep to fewer and say what they leave out. */
const MAX_NOTES = 1_000;
const PAGE = 200;

/** What is written when a session ends. */
export interface SessionClosing {
  readonly outcome: AuditEvent['outcome'];
  readonly reason: string;
  readonly reportedBy: 'relay' | 'device';
  readonly exitCode?: number;
  readonly signal?: string;
  readonly bytesToDevice?: number;
  readonly bytesFromDevice?: number;
  /** How long ago it ended, milliseconds. */
  readonly ageMs?: number;
}

/** What a device notes of a session while it runs. */
export interface DeviceNote {
  /** Number in the journal of the device. */
  readonly number: number;
  readonly outcome: 'ok' | 'failed';
  readonly detail: JsonObject;
}

/** What the ledger works with. */
export interface LedgerParts {
  readonly store: Store;
  /** Resolves when every required place has the record; rejects when what it announces must not happen. */
  readonly announce: (event: AuditEvent) => Promise<void>;
  /** Resolves when the store has the record of what happened. */
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The books of sessions: each that is opened is closed exactly once, whoever knows its end first. */
export interface SessionLedger {
  /** Durable when it resolves; only then may the session begin. */
  open(session: OpenSession): Promise<void>;
  /** Writes the closing record, unless another did. */
  close(id: SessionId, closing: SessionClosing): Promise<void>;
  /** What a device reports of a session's end. A session of another device, or an unknown one, is ignored. */
  report(
    device: DeviceId,
    id: SessionId,
    report: { readonly end: SessionEnd; readonly bytesToDevice: number; readonly bytesFromDevice: number; readonly ageMs: number },
  ): Promise<void>;
  /**
   * Records something that a device notes of an open session of its own, once: a note that comes again after a link was lost is known by its
   * number, unless this relay was started anew in between. Beyond a bound for each session nothing more is recorded.
   */
  note(device: DeviceId, id: SessionId, note: DeviceNote): Promise<void>;
  /** Closes as lost the open sessions, of one device or of all, for which `isLost` holds. */
  closeLost(filter: {
    readonly deviceId?: DeviceId;
    readonly isLost: (session: OpenSession) => boolean | Promise<boolean>;
  }): Promise<number>;
  /** Notes that the relay started anew while sessions were open. */
  noteInterrupted(): Promise<number>;
}

/** Opens the books. */
export function createSessionLedger({ store, announce, audit, clock, log }: LedgerParts): SessionLedger {
  const closing = new Map<SessionId, Promise<void>>();
  // Whoever gets the device does not get the records of what was done on it before: the end is told to whom the begin was told.
  const openedFor = new Map<SessionId, Scope>();
  const noted = new Map<SessionId, Noted>();
  const closeOnce = async (id: SessionId, closed: SessionClosing) => {
    const session = await store.sessions.get(id, SYSTEM_SCOPE);
    if (session === null) return;
    // The record first: a crash before the removal is noticed at the next start, one after it would have lost the record.
    await audit(closingEvent({ ...session, owner: openedFor.get(id) ?? session.owner }, closed, clock.now()));
    await store.sessions.remove(id);
    openedFor.delete(id);
    noted.delete(id);
  };
  /** Answers whether there is such a session to note something of. */
  const writeNote = async (device: DeviceId, id: SessionId, { outcome, detail }: DeviceNote): Promise<boolean> => {
    const session = await store.sessions.get(id, SYSTEM_SCOPE);
    if (session?.deviceId !== device) {
      log.debug('the device noted something of a session that is not open', { device, session: id });
      return false;
    }
    const owner = openedFor.get(id) ?? session.owner;
    const event = { ...openingEvent({ ...session, owner }), at: clock.now(), action: 'session.noted' };
    await audit({ ...event, outcome, reportedBy: 'device', detail: masked(detail) });
    return true;
  };
  /** Who comes second waits for the first, and fails with it: what a device reported may be acknowledged only when it is written. */
  const close = (id: SessionId, closed: SessionClosing): Promise<void> => {
    const running = closing.get(id) ?? closeOnce(id, closed).finally(() => closing.delete(id));
    closing.set(id, running);
    return running;
  };
  return {
    async open(session) {
      if (!(await store.sessions.insert(session))) throw new TowlineError('conflict', 'A session of this id is open already.');
      openedFor.set(session.id, session.owner);
      try {
        await announce(openingEvent(session));
      } catch (error) {
        openedFor.delete(session.id);
        await store.sessions.remove(session.id);
        throw error;
      }
    },
    close,
    async report(device, id, { end, ...figures }) {
      const session = await store.sessions.get(id, SYSTEM_SCOPE);
      if (session?.deviceId !== device) return log.debug('the device reported a session that is not open', { device, session: id });
      await close(id, { ...figures, ...closingOf(end), reportedBy: 'device' });
    },
    async note(device, id, said) {
      const before = noted.get(id) ?? { upTo: 0, count: 0, written: Promise.resolve() };
      // Who comes second waits for the first, and fails with it: what is acknowledged must be written.
      if (said.number <= before.upTo || before.count >= MAX_NOTES) return before.written;
      const written = writeNote(device, id, said).then((isOpen) => void (isOpen || noted.delete(id)));
      noted.set(id, { upTo: said.number, count: before.count + 1, written });
      await written.catch((error: unknown) => {
        noted.set(id, before);
        throw error;
      });
    },
    async closeLost({ deviceId, isLost }) {
      let closed = 0;
      for await (const session of openSessions(store, deviceId)) {
        if (!(await isLost(session))) continue;
        await close(session.id, { outcome: 'lost', reason: 'device_lost', reportedBy: 'relay' });
        closed += 1;
      }
      return closed;
    },
    async noteInterrupted() {
      let count = 0;
      for await (const session of openSessions(store, undefined)) {
        if (await isClosed(store, session)) {
          await store.sessions.remove(session.id);
          continue;
        }
        await audit({
          ...openingEvent(session),
          at: clock.now(),
          action: 'session.interrupted',
          outcome: 'interrupted',
          reason: 'relay_restarted',
        });
        count += 1;
      }
      return count;
    },
  };
}

/** How far the notes of a session are recorded. */
interface Noted {
  readonly upTo: number;
  readonly count: number;
  /** The last of them is in the trail. */
  readonly written: Promise<void>;
}

/** A key that somebody made part of a name must not stay in the books. */
function masked(detail: JsonObject): JsonObject {
  return JSON.parse(maskApiKeys(JSON.stringify(detail))) as JsonObject;
}

/** Whether the end of a session is on record although it is still in the books: the relay was killed between the two. */
async function isClosed(store: Store, { id, openedAt }: OpenSession): Promise<boolean> {
  const { items } = await store.audit.list(
    { session: id, action: 'session.closed', since: openedAt },
    'descending',
    { limit: 1 },
    SYSTEM_SCOPE,
  );
  return items.length > 0;
}

async function* openSessions(store: Store, deviceId: DeviceId | undefined): AsyncGenerator<OpenSession> {
  let cursor: string | null | undefined;
  do {
    const page: Awaited<ReturnType<Store['sessions']['list']>> = await store.sessions.list(
      deviceId === undefined ? {} : { deviceId },
      { limit: PAGE, ...(cursor ? { cursor } : {}) },
      SYSTEM_SCOPE,
    );
    yield* page.items;
    cursor = page.next;
  } while (cursor !== null);
}

function openingEvent(session: OpenSession): AuditEvent {
  return {
    at: session.openedAt,
    action: 'session.opened',
    actor: session.actor,
    address: session.address,
    device: { id: session.deviceId, name: session.deviceName },
    owner: session.owner,
    session: session.id,
    protocol: session.protocol,
    outcome: 'ok',
    detail: session.detail,
  };
}

function closingEvent(session: OpenSession, { ageMs = 0, ...closing }: SessionClosing, now: number): AuditEvent {
  const endedAt = Math.max(session.openedAt, now - Math.round(ageMs));
  return { ...openingEvent(session), ...closing, at: now, action: 'session.closed', durationMs: endedAt - session.openedAt };
}

function closingOf(end: SessionEnd): Pick<SessionClosing, 'outcome' | 'reason' | 'exitCode' | 'signal'> {
  return {
    outcome:
      end.reason === 'exited' || end.reason === 'signalled' || end.reason === 'ended'
        ? 'ok'
        : end.reason === 'failed'
          ? 'failed'
          : 'interrupted',
    reason: isErrorCode(end.code) ? end.code : end.reason,
    ...defined({ exitCode: end.exit_code, signal: end.signal }),
  };
}
