import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import type { Fault } from '../faults/fault.ts';

/** Largest configuration file, bytes. A thousand entries fit; a parser is not fed with more. */
export const MAX_CONFIG_BYTES = 262_144;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The text of a configuration file, or why it cannot be had. `absent`: there is no such file. */
export type ConfigText = { readonly text: string } | { readonly fault: Fault; readonly absent: boolean };

/** Reads a configuration file as UTF-8 without byte order mark. `shown` is how the user named it. */
export function readConfigFile(path: string, shown: string): ConfigText {
  const fault = (expected: string, found: string, absent = false) => ({ fault: { file: shown, key: '', expected, found }, absent });
  let fd: number | undefined;
  try {
    // Without O_NONBLOCK opening a named pipe would wait for a writer.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const wrong = wrongFile(fstatSync(fd));
    if (wrong !== undefined) return fault(wrong.expected, wrong.found);
    const text = decode(readFileSync(fd));
    return text === undefined ? fault('a text file in UTF-8', 'other bytes') : { text };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    return fault('a readable file', code === 'ENOENT' ? 'none' : `one that cannot be read (${code})`, code === 'ENOENT');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function wrongFile(stat: Stats): { expected: string; found: string } | undefined {
  if (!stat.isFile()) return { expected: 'a regular file', found: stat.isDirectory() ? 'a folder' : 'something else' };
  if (stat.size > MAX_CONFIG_BYTES) return { expected: `a file of at most ${MAX_CONFIG_BYTES} bytes`, found: `one of ${stat.size} bytes` };
  // Who can write it names the code that is loaded and the user that commands run as.
  if (process.platform !== 'win32' && (stat.mode & 0o002) !== 0)
    return { expected: 'a file that not everybody can write (run chmod o-w on it)', found: `mode ${(stat.mode & 0o777).toString(8)}` };
  return undefined;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes);
    return text.includes('\0') ? undefined : text;
  } catch {
    return undefined;
  }
}
