import { decodeJson, printable, TowlineError } from '@towline/protocol/plain';
import { MAX_COVERED_FOLDERS, MAX_FILE_BYTES, MAX_JSON_PAYLOAD, MAX_LINK_BYTES, MAX_NAME_BYTES, MAX_SHOWN_PATH } from '../limits.ts';
import { FARTHEST_TIME_MS } from '../tree/file-time.ts';
import {
  boolean,
  bytesText,
  type Check,
  type Checked,
  integer,
  listOf,
  Mismatch,
  numberWithin,
  object,
  ofKind,
  oneOf,
  text,
} from './shape.ts';

const number = integer(0, 0xffff_ffff);
const size = integer(0, MAX_FILE_BYTES);
/** Unix time, milliseconds, with a fraction. The bound is what a Date holds. */
const time = numberWithin(FARTHEST_TIME_MS);
/** Name of a system error, or a word of ours; what it means is said by whoever shows it. */
const code = text(/^[A-Za-z0-9_]{1,40}$/, 'a code');

const place = { id: integer(1, 0xffff_ffff), parent: number, name: bytesText(MAX_NAME_BYTES) };
const times = { mode: integer(0, 0o7777), mtime: time };
/** Which folder the root of a tree is, for nothing but to be compared. */
const root = text(/^[0-9a-f. -]{1,120}$/, 'numbers');

/**
 * Something of a tree. The first has parent 0; an empty name there means that the content of the folder is copied, without it. Of a sync a folder
 * has `some` when not everything in it is announced, and the first one which folder it is, and which one the target must be (`onto`).
 */
export const entrySchema = ofKind({
  file: object({ kind: oneOf('file'), ...place, ...times, size, sparse: boolean }),
  folder: object({ kind: oneOf('folder'), ...place, ...times }, { some: boolean, root, onto: root }),
  link: object({ kind: oneOf('link'), ...place, mtime: time, target: bytesText(MAX_LINK_BYTES) }),
});
/** See {@link entrySchema}. */
export type Entry = Checked<typeof entrySchema>;
/** An entry that is a file. */
export type FileEntry = Extract<Entry, { kind: 'file' }>;
/** An entry that is a folder. */
export type FolderEntry = Extract<Entry, { kind: 'folder' }>;
/** An entry that is a symbolic link. */
export type LinkEntry = Extract<Entry, { kind: 'link' }>;

/** Something in a folder that is listed. */
export const listedSchema = object(
  {
    name: bytesText(MAX_LINK_BYTES),
    kind: oneOf('file', 'folder', 'link', 'fifo', 'socket', 'block', 'character'),
    ...times,
    size,
    uid: number,
    gid: number,
    links: size,
  },
  { target: bytesText(MAX_LINK_BYTES) },
);
/** See {@link listedSchema}. */
export type Listed = Checked<typeof listedSchema>;

/** Something that is left out: a special file, or what cannot be read. */
export const omittedSchema = object({ parent: number, name: bytesText(MAX_NAME_BYTES), code });
/** How much will come: files and bytes of their content. */
export const totalSchema = object({ files: size, bytes: size });
/** Why a file does not come, or not to its end. */
export const failedSchema = object({ id: number, code });
const paths = listOf(bytesText(MAX_LINK_BYTES), MAX_COVERED_FOLDERS);
/** Parts of a tree by their paths below its root: single names, folders with all names in them, and trees with everything below. */
const coverage = object({ names: paths, folders: paths, trees: paths });
/**
 * Whether the copy goes into the folder that was named, or becomes what was named. Of a sync also whether the receiver takes folders of which only some
 * is announced (a sender without that knowledge announces all), and what is to be announced, when it is not the whole tree.
 */
export const readySchema = object({ into: boolean }, { parts: boolean, only: coverage });
/** A file that is wanted. `have`: bytes there are already, whose hashes follow; with `whole`, any difference asks for all of it. */
export const wantSchema = object({ id: number, have: size, whole: boolean });
/** What became of an entry: copied, the same before, or not copied. Of a sync also what was done, and which folder the root is. */
export const settledSchema = object(
  { id: number, status: oneOf('done', 'same', 'failed') },
  { code, change: oneOf('new', 'content', 'attributes'), root },
);
/** Something that was removed, or could not be. The path is cut at its beginning when it is longer: it is shown only. */
export const removedSchema = object({ path: bytesText(MAX_SHOWN_PATH), kind: oneOf('file', 'folder', 'link') }, { code });
/**
 * Something of a watched tree may have changed: whether every folder of it can be watched; where, anywhere when it is not told; whether a look has found
 * it, and what was heard of may account for it.
 */
export const changedSchema = object({ complete: boolean }, { only: coverage, look: boolean });
/** Why nothing can be done. */
export const faultSchema = object({ code });

/** Decodes the JSON of a frame. @throws TowlineError `protocol_error`. */
export function decodeFrame<Value>(schema: Check<Value>, payload: Buffer): Value {
  try {
    return schema(decodeJson(payload, MAX_JSON_PAYLOAD), 'frame');
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    throw new TowlineError('protocol_error', `The peer sent a frame among files that is not valid: ${printable(error.message)}.`);
  }
}
