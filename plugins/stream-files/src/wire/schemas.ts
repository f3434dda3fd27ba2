import { decodeJson, describeIssues, TowlineError } from '@towline/protocol';
import { z } from 'zod';
import { MAX_FILE_BYTES, MAX_JSON_PAYLOAD, MAX_LINK_BYTES, MAX_NAME_BYTES, MAX_SHOWN_PATH } from '../limits.ts';
import { FARTHEST_TIME_MS } from '../tree/file-time.ts';

/** Text of which each character is a byte. */
const BYTES = /^[\0-\xff]*$/;
const MOST_NUMBER = 0xffff_ffff;
const MOST_BITS = 0o7777;

/** Bytes as text, one character for each: names are bytes, and JSON has none. */
const bytesText = (max: number) =>
  z
    .string()
    .max(max)
    .regex(BYTES, 'expected bytes')
    .transform((text): Buffer => Buffer.from(text, 'latin1'));

const number = z.int().min(0).max(MOST_NUMBER);
const size = z.int().min(0).max(MAX_FILE_BYTES);
const bits = z.int().min(0).max(MOST_BITS);
/** Unix time, milliseconds, with a fraction. The bound is what a Date holds. */
const time = z.number().min(-FARTHEST_TIME_MS).max(FARTHEST_TIME_MS);
/** Name of a system error, or a word of ours; what it means is said by whoever shows it. */
const code = z.string().regex(/^[A-Za-z0-9_]{1,40}$/, 'expected a code');

const place = { id: number.min(1), parent: number, name: bytesText(MAX_NAME_BYTES) };
const times = { mode: bits, mtime: time };

/** Something of a tree. The first has parent 0; an empty name there means that the content of the folder is copied, without it. */
export const entrySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('file'), ...place, ...times, size, sparse: z.boolean() }),
  z.object({ kind: z.literal('folder'), ...place, ...times }),
  z.object({ kind: z.literal('link'), ...place, mtime: time, target: bytesText(MAX_LINK_BYTES) }),
]);
/** See {@link entrySchema}. */
export type Entry = z.infer<typeof entrySchema>;
/** An entry that is a file. */
export type FileEntry = Extract<Entry, { kind: 'file' }>;
/** An entry that is a folder. */
export type FolderEntry = Extract<Entry, { kind: 'folder' }>;
/** An entry that is a symbolic link. */
export type LinkEntry = Extract<Entry, { kind: 'link' }>;

/** Something in a folder that is listed. */
export const listedSchema = z.object({
  name: bytesText(MAX_LINK_BYTES),
  kind: z.enum(['file', 'folder', 'link', 'fifo', 'socket', 'block', 'character']),
  ...times,
  size,
  uid: number,
  gid: number,
  links: size,
  target: bytesText(MAX_LINK_BYTES).optional(),
});
/** See {@link listedSchema}. */
export type Listed = z.infer<typeof listedSchema>;

/** Something that is left out: a special file, or what cannot be read. */
export const omittedSchema = z.object({ parent: number, name: bytesText(MAX_NAME_BYTES), code });
/** How much will come: files and bytes of their content. */
export const totalSchema = z.object({ files: size, bytes: size });
/** Why a file does not come, or not to its end. */
export const failedSchema = z.object({ id: number, code });
/** Whether the copy goes into the folder that was named, or becomes what was named. */
export const readySchema = z.object({ into: z.boolean() });
/** A file that is wanted. `have`: bytes there are already, whose hashes follow; with `whole`, any difference asks for all of it. */
export const wantSchema = z.object({ id: number, have: size, whole: z.boolean() });
/** What became of an entry: copied, the same before, or not copied. */
export const settledSchema = z.object({
  id: number,
  status: z.enum(['done', 'same', 'failed']),
  code: code.optional(),
  /** Of a sync: what was done. */
  change: z.enum(['new', 'content', 'attributes']).optional(),
});
/** Something that was removed, or could not be. The path is cut at its beginning when it is longer: it is shown only. */
export const removedSchema = z.object({
  path: bytesText(MAX_SHOWN_PATH),
  kind: z.enum(['file', 'folder', 'link']),
  code: code.optional(),
});
/** Something of a watched tree may have changed; whether every folder of it can be watched. */
export const changedSchema = z.object({ complete: z.boolean() });
/** Why nothing can be done. */
export const faultSchema = z.object({ code });

/**
 * Decodes an entry. What most of them are is seen without going through the schema, which takes several times as long; so is what is wanted
 * and settled. Whatever is not plainly right is left to the schema. @throws TowlineError `protocol_error`.
 */
export function decodeEntry(payload: Buffer): Entry {
  const value = decodeJson(payload, MAX_JSON_PAYLOAD);
  return plainFile(value) ?? check(entrySchema, value);
}

/** Decodes a want. @throws TowlineError `protocol_error`. */
export function decodeWant(payload: Buffer): z.output<typeof wantSchema> {
  const value = decodeJson(payload, MAX_JSON_PAYLOAD);
  if (!isObject(value)) return check(wantSchema, value);
  const { id, have, whole } = value;
  return isNumber(id) && isSize(have) && typeof whole === 'boolean' ? { id, have, whole } : check(wantSchema, value);
}

/** Decodes what became of an entry. @throws TowlineError `protocol_error`. */
export function decodeSettled(payload: Buffer): z.output<typeof settledSchema> {
  const value = decodeJson(payload, MAX_JSON_PAYLOAD);
  if (!isObject(value)) return check(settledSchema, value);
  const { id, status, code, change } = value;
  const isPlain = isNumber(id) && (status === 'done' || status === 'same') && code === undefined && change === undefined;
  return isPlain ? { id, status } : check(settledSchema, value);
}

function plainFile(value: unknown): FileEntry | null {
  if (!isObject(value)) return null;
  const { kind, id, parent, name, mode, mtime, size, sparse } = value;
  if (kind !== 'file' || !isNumber(id) || id === 0 || !isNumber(parent) || !isSize(size) || typeof sparse !== 'boolean') return null;
  if (typeof name !== 'string' || name.length > MAX_NAME_BYTES || !BYTES.test(name)) return null;
  if (!isNumber(mode) || mode > MOST_BITS || typeof mtime !== 'number' || Math.abs(mtime) > FARTHEST_TIME_MS) return null;
  return { kind, id, parent, name: Buffer.from(name, 'latin1'), mode, mtime, size, sparse };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isNumber(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_NUMBER;
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_FILE_BYTES;
}

/** Decodes the JSON of a frame. @throws TowlineError `protocol_error`. */
export function decodeFrame<Schema extends z.ZodType>(schema: Schema, payload: Buffer): z.output<Schema> {
  return check(schema, decodeJson(payload, MAX_JSON_PAYLOAD));
}

function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  throw new TowlineError('protocol_error', `The peer sent a frame among files that is not valid: ${describeIssues(checked.error.issues)}.`);
}
