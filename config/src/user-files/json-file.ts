import { basename, join } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { withProcessLock } from '../process-lock/acquire-process-lock.ts';
import { writeFileAtomically } from './atomic-write.ts';
import { MAX_PRIVATE_FILE_BYTES, readPrivateFile } from './private-file.ts';
import { ensureUserFolder } from './user-folder.ts';

/** A JSON object that was read. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** A JSON file of a user. */
export interface JsonFile<Content> {
  readonly name: string;
  /** What is wrong with an object that was read, without quoting it; null when it is a `Content`. */
  check(content: JsonRecord | Content): string | null;
}

/** Reads a file of the folder. Null when there is none. @throws TowlineError `credentials_unsafe`, `file_damaged`. */
export async function readJsonFile<Content>(dir: string, file: JsonFile<Content>): Promise<Content | null> {
  const path = join(dir, file.name);
  const text = await readPrivateFile(path);
  return text === null ? null : (parse(path, text, file) as Content);
}

/**
 * Changes a file of the folder under its lock, so that of two processes neither loses what the other wrote.
 * `change` gets the present content (null when there is none); null as its result leaves the file as it is.
 * What could not be read again is not written: the file stays as it was. @throws TowlineError `data_unwritable`.
 */
export async function updateJsonFile<Content>(
  dir: string,
  file: JsonFile<Content>,
  change: (present: Content | null) => Content | null | Promise<Content | null>,
): Promise<Content | null> {
  await ensureUserFolder(dir);
  return withProcessLock(join(dir, `.${basename(file.name, '.json')}.lock`), async () => {
    const present = await readJsonFile(dir, file);
    const next = await change(present);
    if (next !== null) await writeFileAtomically(join(dir, file.name), encode(join(dir, file.name), next, file));
    return next ?? present;
  });
}

/** Texts from elsewhere come in here, and one that the check refuses would lock everything else in the file away. */
function encode<Content>(path: string, next: Content, file: JsonFile<Content>): string {
  const refused = (what: string) => new TowlineError('data_unwritable', `${path} is left as it was: what was to be written ${what}.`);
  const text = `${JSON.stringify(next, null, 2)}\n`;
  const wrong = file.check(JSON.parse(text) as JsonRecord);
  if (wrong !== null) throw refused(wrong);
  const size = Buffer.byteLength(text);
  if (size > MAX_PRIVATE_FILE_BYTES) throw refused(`has ${size} bytes, where at most ${MAX_PRIVATE_FILE_BYTES} are allowed`);
  return text;
}

function parse<Content>(path: string, text: string, file: JsonFile<Content>): unknown {
  const damaged = (what: string) => new TowlineError('file_damaged', `${path} ${what}.`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The parser's error quotes the text, which may be a secret.
    throw damaged('is not JSON');
  }
  if (!isObject(content)) throw damaged('does not hold a JSON object');
  const wrong = file.check(content);
  if (wrong !== null) throw damaged(wrong);
  return content;
}

/** Whether a JSON value is an object. */
export function isObject(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
