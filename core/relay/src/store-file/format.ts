import { STORE_RECORD_KINDS, type StoreRecord, TowlineError } from '@towline/contract';

/** Version of the file itself: lines of JSON, the first and the last as below, one record on each between. */
export const STORE_FILE_VERSION = 1;
/** Longest line that is read, bytes: far above any record, and far below what would fill the memory. */
export const MAX_LINE_BYTES = 67_108_864;

/** The first line. */
export interface StoreFileHead {
  readonly towline_store: number;
  /** Version of the shapes of the records. */
  readonly schema: number;
  /** Version of the program that wrote it. */
  readonly relay: string;
  /** When, RFC 3339. */
  readonly at: string;
}

/** How many records of each kind. */
export type RecordCounts = Readonly<Record<StoreRecord['kind'], number>>;

/** The last line. */
export interface StoreFileTail {
  readonly counts: RecordCounts;
  /** SHA-256 over all bytes before this line, 64 hex digits. */
  readonly sha256: string;
}

/** No record of any kind yet. */
export function noRecords(): Record<StoreRecord['kind'], number> {
  return Object.fromEntries(STORE_RECORD_KINDS.map((kind) => [kind, 0])) as Record<StoreRecord['kind'], number>;
}

/** The counts that are not zero, as a person reads them. */
export function describeCounts(counts: RecordCounts): string {
  const present = Object.entries(counts).filter(([, count]) => count > 0);
  return present.length === 0 ? 'nothing' : present.map(([kind, count]) => `${count} ${kind}`).join(', ');
}

/** A file that cannot be taken. */
export function damagedFile(message: string): TowlineError {
  return new TowlineError('file_damaged', message, { hint: 'Copy or make the export anew. Nothing was imported.' });
}
