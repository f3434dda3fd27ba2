import { z } from 'zod';
import { MAX_PATTERN_BYTES, MAX_PATTERNS } from './limits.ts';

/** Protocol of the stream. */
export const FILES_PROTOCOL = '/files/1';

/** Longest path that is asked for, bytes: PATH_MAX of Linux. */
const MAX_PATH_BYTES = 4_096;

const path = z
  .string()
  .refine((text) => !text.includes('\0'), 'a path cannot hold a NUL character')
  .refine((text) => Buffer.byteLength(text) <= MAX_PATH_BYTES, `a path has at most ${MAX_PATH_BYTES} bytes`);

/** Patterns of gitignore(5), in order. */
const exclude = z
  .array(z.string().refine((text) => !/[\0\n\r]/.test(text), 'a pattern is one line'))
  .max(MAX_PATTERNS)
  .refine(
    (patterns) => Buffer.byteLength(JSON.stringify(patterns)) <= MAX_PATTERN_BYTES,
    `patterns have at most ${MAX_PATTERN_BYTES} bytes together`,
  );

/**
 * Body of the open message, the same from the client and to the device: what is done with which path on the device. A path that is
 * relative, or begins with `~`, is one of the home folder of the user that the device works as; an empty one is that folder.
 */
export const filesBodySchema = z.discriminatedUnion('operation', [
  /** Sends a file or a tree to the client. */
  z.strictObject({
    operation: z.literal('read'),
    path,
    /** Whether the device counts all files and bytes beforehand, for a time left. */
    count: z.boolean(),
  }),
  /** Takes a file or a tree from the client. */
  z.strictObject({
    operation: z.literal('write'),
    path,
    /** Whether `path` itself becomes the copy also when it is a folder: what an earlier session of the same copy has begun. */
    exact: z.boolean(),
  }),
  /** Sends a tree that the client makes its own like. */
  z.strictObject({ operation: z.literal('sync_read'), path, exclude }),
  /** Makes a tree like the client's. */
  z.strictObject({
    operation: z.literal('sync_write'),
    path,
    exclude,
    /** Whether what the client lacks is removed. */
    delete: z.boolean(),
    /** Whether nothing is done, only told. */
    dry_run: z.boolean(),
    /** Whether content decides what is the same, where size alone speaks for it. */
    checksum: z.boolean(),
  }),
  /** Tells when something of a tree may have changed. */
  z.strictObject({ operation: z.literal('sync_watch'), path, exclude }),
  /** Lists a folder, or one file. */
  z.strictObject({ operation: z.literal('list'), path }),
]);
/** See {@link filesBodySchema}. */
export type FilesBody = z.infer<typeof filesBodySchema>;
/** A request to make a tree like the client's. */
export type SyncWriteBody = Extract<FilesBody, { operation: 'sync_write' }>;
