import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { TowlineError } from '@towline/protocol';

/** What forkpty(3) is told, in the order the binding takes it. */
export type ForkArguments = [
  file: string,
  args: string[],
  env: string[],
  cwd: string,
  cols: number,
  rows: number,
  uid: number,
  gid: number,
  utf8: boolean,
  helper: string,
  onExit: (exitCode: number, signal: number) => void,
];

/** The native part of node-pty 1.1 for unix systems (its src/unix/pty.cc). */
export interface PtyBinding {
  fork(...args: ForkArguments): { readonly fd: number; readonly pid: number; readonly pty: string };
  resize(fd: number, cols: number, rows: number): void;
}

/** The binding, and the program that it starts others through on macOS. */
export interface LoadedBinding {
  readonly binding: PtyBinding;
  readonly helper: string;
}

/**
 * Loads the native part of the optional package node-pty when a terminal is first needed.
 * @throws TowlineError `pty_unavailable` when it is not installed or was not built for this machine.
 */
export function loadPtyBinding(): LoadedBinding {
  const require = createRequire(import.meta.url);
  try {
    const loader = require.resolve('node-pty/lib/utils.js');
    const { dir, module } = require(loader).loadNativeModule('pty') as { dir: string; module: PtyBinding };
    return { binding: module, helper: resolve(dirname(loader), dir, 'spawn-helper') };
  } catch (cause) {
    throw new TowlineError('pty_unavailable', undefined, { detail: String(cause), cause });
  }
}
