import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { type Identity, isExecutable } from './identity.ts';

/**
 * What every program passes through before it is itself. Descriptors above 2 are closed: the terminals of other
 * sessions are among them, since forkpty(3) opens them without close-on-exec. The umask is that of a login, and the soft limit of
 * open files is the usual one, which Node raises to the hard limit for itself. Then the home folder, where it can be entered.
 */
const ENTRY = [
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the braces are the shell's.
  'for fd in /proc/self/fd/*; do fd=${fd##*/}; case $fd in [0-2]|*[!0-9]*) ;; *) eval "exec $fd<&-" ;; esac; done',
  'umask 022',
  'ulimit -S -n 1024 2>/dev/null',
  'cd -- "$1" 2>/dev/null || cd /',
  'unset OLDPWD',
  'shift',
  'exec "$@"',
].join('; ');

/** Shells that can close a descriptor of two digits; POSIX asks for one digit only, and dash keeps to that. */
const ABLE_SHELLS = Object.freeze(['bash', 'busybox', 'zsh']);
const SHELL_PATHS = Object.freeze(['/bin/bash', '/usr/bin/bash', '/usr/local/bin/bash', '/bin/sh']);

/**
 * The words that start a command as `identity`, with no more than standard input, output and error.
 * @throws TowlineError `spawn_failed` when the device lacks a shell for it.
 */
export async function entryCommand({ account, switchUser }: Identity, command: readonly string[]): Promise<[string, ...string[]]> {
  return [await findEntryShell(), '-c', ENTRY, 'towline', account.home, ...switchUser, ...command];
}

async function findEntryShell(): Promise<string> {
  // Other systems than Linux start programs with all other descriptors closed.
  if (process.platform !== 'linux') return '/bin/sh';
  for (const path of SHELL_PATHS) {
    const target = await realpath(path).catch(() => null);
    if (target !== null && ABLE_SHELLS.includes(basename(target)) && (await isExecutable(target))) return path;
  }
  throw new TowlineError('spawn_failed', 'The device has neither bash nor BusyBox to start programs with.', {
    hint: 'Install bash on the device.',
  });
}
