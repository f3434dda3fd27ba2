import type { SessionEnd } from '../control.ts';

/** How a session ended. Set where the end is caused; both ends and the audit trail show the same. */
export type SessionResult = SessionEnd;
