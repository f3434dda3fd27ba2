import type { Store, StoreRecord } from '@towline/contract';
import type { ErrorCode } from '@towline/protocol';

/**
 * What a database thread is for: the one connection that writes, or the one that reads beside it; for the time of one
 * export, import or backup, one that reads a single state, one that writes a single large change, or one that copies the file.
 */
export type ThreadRole = 'writer' | 'reader' | 'exporter' | 'importer' | 'copier';

/** The first message to a thread. */
export interface ThreadSettings {
  readonly role: ThreadRole;
  /** Absolute path of the database file. */
  readonly path: string;
  /** Unix time in milliseconds, noted with migrations that are applied. */
  readonly now: number;
}

/** An object on its way out of a store or into one: its kind, and the JSON of its value. */
export type PackedRecord = readonly [kind: StoreRecord['kind'], json: string];

/** One call of an operation. */
export interface Request {
  readonly id: number;
  readonly operation: string;
  readonly args: readonly unknown[];
}

/** Sent to a thread: first the settings, then calls in their order, at last the wish that it finishes them and ends. */
export type ToThread = ThreadSettings | readonly Request[] | 'close';

/** An error as it crosses the threads. Text and hint of the catalogue hold where they are left out. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message?: string;
  readonly hint?: string;
  readonly detail?: string;
}

/** Answer to one call. */
export type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: WireError };

/** Numbers of the schema before a start and since. */
export type SchemaChange = NonNullable<Store['schema']>;

/** Sent by a thread. `schema`: by the writer. `commits` counts the transactions of a writer since it started. */
export type FromThread =
  | { readonly type: 'opened'; readonly schema: SchemaChange | null }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'replies'; readonly replies: readonly Reply[]; readonly commits: number };
