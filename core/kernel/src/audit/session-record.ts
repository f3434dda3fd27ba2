import type { AuditEvent, UnixMs } from '@towline/contract';

/** How a session ended: what the closed record says besides what the opened one said. */
export type SessionResult = Pick<
  AuditEvent,
  'outcome' | 'reason' | 'durationMs' | 'bytesToDevice' | 'bytesFromDevice' | 'exitCode' | 'signal' | 'reportedBy' | 'detail'
> & {
  /** When it ended; now when left out. */
  readonly at?: UnixMs;
};

/** The record of an opened session, which must be closed. */
export interface SessionRecord {
  /** The event that was recorded when the session was opened. */
  readonly opened: AuditEvent;
  /**
   * Records the end; resolves when that is durable. Closing again changes nothing and answers as the first time,
   * unless the record could not be stored: then it may be tried again. @throws TowlineError `unavailable`.
   */
  close(result: SessionResult): Promise<void>;
}

/** The event that closes a session: what the opened one said, with the result over it. */
export function closingEvent(opened: AuditEvent, result: SessionResult, now: UnixMs): AuditEvent {
  const at = result.at ?? now;
  const { reason: _openedReason, ...rest } = opened;
  return {
    ...rest,
    ...result,
    at,
    action: 'session.closed',
    durationMs: result.durationMs ?? Math.max(0, at - opened.at),
    ...(opened.detail || result.detail ? { detail: { ...opened.detail, ...result.detail } } : {}),
  };
}
