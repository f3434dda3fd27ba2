import { hash, randomUUID } from 'node:crypto';
import { printable } from '@towline/protocol/plain';
import { MAX_NAME_BYTES } from '../limits.ts';
import { FileFault } from './file-fault.ts';

const SLASH = 0x2f;
const NUL = 0;
/** How names of partial files begin. */
export const PARTIAL_PREFIX = '.towline-part-';
/** How those of a sync begin: no hash begins so. */
const SYNC_PARTIAL_PREFIX = `${PARTIAL_PREFIX}s`;
/** Hex digits of the hash in the name of a partial file. */
const PARTIAL_DIGITS = 32;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Makes sure that a name of a peer is the name of one file in one folder. @throws FileFault `bad_name`, `partial`. */
export function checkName(name: Buffer): void {
  const isPlace = name.equals(DOT) || name.equals(DOT_DOT);
  if (isPartialName(name)) throw new FileFault('partial');
  if (name.length === 0 || name.length > MAX_NAME_BYTES || isPlace || name.includes(SLASH) || name.includes(NUL)) {
    throw new FileFault('bad_name');
  }
}

/** Whether a name is that of a partial file: what an unfinished copy left, and no file of anybody's. */
export function isPartialName(name: Buffer): boolean {
  return name.subarray(0, PARTIAL_PREFIX.length).equals(PREFIX);
}

const PREFIX = Buffer.from(PARTIAL_PREFIX);
const SYNC_PARTIAL = /^\.towline-part-s[0-9a-f]{31}\.[0-9a-f]{16}$/;
const DOT = Buffer.from('.');
const DOT_DOT = Buffer.from('..');

/**
 * How the name of a partial file begins, of one version of a source. The rest is different each time: the name says whose the file is, so
 * of two copies only one can put it into place.
 */
export function partialStem(name: Buffer, { size, mtime, origin }: PartialOf): string {
  const version = Buffer.concat([name, Buffer.from(`\0${size}\0${mtime}`)]);
  const digest = hash('sha256', version).slice(0, PARTIAL_DIGITS);
  return origin === 'sync' ? SYNC_PARTIAL_PREFIX + digest.slice(1) : PARTIAL_PREFIX + digest;
}

/** Of what there is a partial file. Those of a sync are known by their names: the next sync removes what is of no use any more. */
export interface PartialOf {
  readonly size: number;
  readonly mtime: number;
  readonly origin?: 'sync';
}

/** Whether a name is exactly one that a sync gives a partial file: such are removed, what only begins like that is somebody's. */
export function isSyncPartialName(name: Buffer): boolean {
  return SYNC_PARTIAL.test(name.toString('latin1'));
}

/** A name for a partial file that nobody else has. */
export function partialName(stem: string): Buffer {
  // Of random numbers Node holds some ready only in this form. These of its digits are all random.
  const uuid = randomUUID();
  return Buffer.from(`${stem}.${uuid.slice(0, 8)}${uuid.slice(28)}`);
}

/** The stem of a partial file's name. */
export function stemOf(name: Buffer): string {
  return name.toString('latin1').split('.', 3).slice(0, 2).join('.');
}

/** Path of something in a folder; the folder's own when the name is empty. */
export function joinPath(folder: Buffer, name: Buffer): Buffer {
  if (folder.length === 0) return name;
  if (name.length === 0) return folder;
  return Buffer.concat(folder.at(-1) === SLASH ? [folder, name] : [folder, Buffer.of(SLASH), name]);
}

/** A path for people: safe for a terminal, and bytes that are no UTF-8 as `\xHH`. */
export function shownPath(path: Buffer): string {
  try {
    return printable(utf8.decode(path));
  } catch {
    return [...path]
      .map((byte) => (byte < 0x20 || byte > 0x7e ? `\\x${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte)))
      .join('');
  }
}
