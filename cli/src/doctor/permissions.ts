import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readCredentials, readDeviceState, readUserConfig } from '@towline/config/user-files';
import { isTowlineError } from '@towline/protocol';
import { type Finding, failed, ok, warning } from './finding.ts';
import type { Subject } from './subject.ts';

/** The files that may hold secrets or decide whom they are sent to, with the code that every command reads them by. */
const FILES: readonly (readonly [name: string, read: (dir: string) => Promise<unknown>])[] = Object.freeze([
  ['config.json', readUserConfig],
  ['credentials.json', readCredentials],
  ['device.json', readDeviceState],
]);

/** Looks whether the folder of the user's files and the files in it can be read by the user and by nobody else. */
export async function checkPermissions({ dir }: Pick<Subject, 'dir'>): Promise<readonly Finding[]> {
  const folder = await stat(dir).catch((error: NodeJS.ErrnoException) => error);
  if (folder instanceof Error)
    return [folder.code === 'ENOENT' ? ok(`${dir} is not there yet, so nothing can be read.`) : unreadable(dir, folder)];
  if (!folder.isDirectory()) return [failed(`${dir} is no folder.`, 'Move it away, or set TOWLINE_CONFIG_DIR.')];
  const faults = await filesFaults(dir);
  const warnings = faults.length > 0 ? ownerWarnings(dir, folder) : [...ownerWarnings(dir, folder), ...(await modeWarnings(dir, folder))];
  const findings = [...faults, ...warnings];
  return findings.length > 0 ? findings : [ok(`${dir} and the files in it are yours alone.`)];
}

async function filesFaults(dir: string): Promise<readonly Finding[]> {
  const closed = await access(dir, constants.X_OK).catch((error: NodeJS.ErrnoException) => error);
  if (closed instanceof Error) return [unreadable(dir, closed)];
  const faults = await Promise.all(FILES.map(([name, read]) => fileFault(dir, name, read)));
  // A folder that others can write to is a fault of every file in it.
  return [...new Map(faults.filter((fault) => fault !== null).map((fault) => [fault.message, fault])).values()];
}

async function fileFault(dir: string, name: string, read: (dir: string) => Promise<unknown>): Promise<Finding | null> {
  try {
    await read(dir);
    return null;
  } catch (error) {
    return isTowlineError(error) ? failed(error.message, error.hint) : unreadable(join(dir, name), error as NodeJS.ErrnoException);
  }
}

function ownerWarnings(dir: string, { uid }: Stats): Finding[] {
  const self = process.getuid?.() ?? 0;
  if (process.platform === 'win32' || uid === self || self === 0) return [];
  return [warning(`${dir} belongs to another user (uid ${uid}).`, `Run chown -R ${self} ${dir} as root, if its files are yours.`)];
}

async function modeWarnings(dir: string, folder: Stats): Promise<Finding[]> {
  // The modes of other systems say nothing.
  if (process.platform === 'win32') return [];
  const mode = folder.mode & 0o777;
  const open = (mode & 0o077) !== 0;
  const closed = await access(dir, constants.W_OK).catch((error: NodeJS.ErrnoException) => error);
  return [
    ...(open ? [warning(`Others may look into ${dir} (mode ${mode.toString(8).padStart(4, '0')}).`, `Run chmod 700 ${dir}.`)] : []),
    ...(closed
      ? [warning(`${dir} cannot be written (${closed.code}), so no login can be kept.`, 'Check its owner, its mode and its disk.')]
      : []),
  ];
}

function unreadable(path: string, { code = 'unknown error' }: NodeJS.ErrnoException): Finding {
  return failed(`${path} cannot be read (${code}).`, 'Check its owner and mode, and those of the folders above it.');
}
