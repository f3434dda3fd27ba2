/** Calls that may wait for one thread: some seconds of work; above it something is wrong, and memory is not the place to hide it. */
export const MAX_WAITING_REQUESTS = 16_384;
/** Writes that one transaction may hold: keeps the time until the first of them resolves below about 50 ms. */
export const MAX_GROUP = 1_000;
/** Silence of a thread with work to do, after which it counts as dead, milliseconds: a disk that hangs must not hang the relay. */
export const THREAD_SILENCE_MS = 60_000;
/** Time that a thread gets to finish its work when the store closes, milliseconds. */
export const CLOSE_DEADLINE_MS = 10_000;
/** Time to wait for another process that holds the file, milliseconds: a rescue command takes a few. */
export const BUSY_TIMEOUT_MS = 10_000;
/** Pages in the write-ahead log after which it is moved into the file: 16 MB, so that not every batch of records pays for that. */
export const CHECKPOINT_PAGES = 4_000;
/** Size to which the write-ahead log is cut back after a checkpoint, bytes. */
export const MAX_IDLE_LOG_BYTES = 16_777_216;
/** Pages that a backup copies before it can be given up: 4 MB. */
export const BACKUP_PAGES = 1_000;
/** Largest page that may be asked for, as the contract says. */
export const MAX_PAGE_LIMIT = 500;
/** Revocations handed out at once, as the contract says. */
export const MAX_REVOCATIONS = 500;
/** Objects that cross to or from a thread at once in an export or import. */
export const TRANSFER_RECORDS = 200;
/** Characters of JSON after which fewer cross at once. */
export const TRANSFER_CHARACTERS = 262_144;
