import { basename, join } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { withProcessLock } from '../process-lock/acquire-process-lock.ts';
import { writeFileAtomically } from './atomic-write.ts';
import { readPrivateFile } from './private-file.ts';
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
    if (next !== null) await writeFileAtomically(join(dir, file.name), `${JSON.stringify(next, null, 2)}\n`);
    return next ?? present;
  });
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
