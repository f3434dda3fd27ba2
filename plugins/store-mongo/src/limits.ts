/** Largest page that may be asked for, as the contract says. */
export const MAX_PAGE_LIMIT = 500;
/** Revocations handed out at once, as the contract says. */
export const MAX_REVOCATIONS = 500;
/** Devices with ended shares handed out at once, as the contract says. */
export const MAX_ENDED = 100;
/** Secrets under other keys handed out at once, as the contract says. */
export const MAX_NOT_UNDER = 100;
/** Time in which a server that can take a call has to be found, milliseconds: above it the call fails, so that the relay can tell. */
export const SERVER_SELECTION_MS = 5_000;
/** Time for one answer of the server, milliseconds: one that hangs must not hang the relay. */
export const ANSWER_MS = 60_000;
/** Time that a write waits for the majority, milliseconds: after it nobody knows whether it will stay, and the call fails. */
export const MAJORITY_MS = 20_000;
/** Calls that the server is asked at one time. */
export const MAX_CONNECTIONS = 20;
/** Calls that may wait for one object: above it something is wrong, and memory is not the place to hide it. */
export const MAX_WAITING = 16_384;
/** Time between two looks at a server, milliseconds: with the time for its answer that in which one that stands still is given up. */
export const HEARTBEAT_MS = 5_000;
/** Time for the answer to a ping, milliseconds: whoever asks for readiness does not wait longer. */
export const PING_MS = 5_000;
/** Time without any answer after which all connections are made anew, milliseconds: long enough for the driver to come back by itself. */
export const SILENCE_MS = 15_000;
/** Time for a call, milliseconds: longer than all that it may wait for. */
export const CALL_MS = 120_000;
/** Revocations written together. */
export const MAX_APPENDED = 100;
/** Time for which a number of a revocation is tried for, milliseconds: others win it in between, but not for ever. */
export const NUMBER_MS = 20_000;
/** Time in which the holder of the lock, under which the database is changed as a whole, counts on, milliseconds. */
export const LOCK_BEAT_MS = 5_000;
/** Time without that after which its holder is dead, milliseconds. */
export const LOCK_LIFE_MS = 30_000;
/** Time that a start waits for that lock, milliseconds: longer than the life of one whose holder died. */
export const LOCK_WAIT_MS = 45_000;
/** Objects that an import sends at once. */
export const IMPORT_BATCH = 200;
/** Size of the audit records in one document, characters: the server takes 16 MiB, and a character has up to three bytes. */
export const MAX_BATCH_CHARACTERS = 5_000_000;
