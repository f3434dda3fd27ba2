import type { PathCommand, StreamCommand } from '@towline/contract';

/** CLI half: `towline DEVICE ls`. What it needs is loaded when it runs. */
export const listCommand: StreamCommand = {
  verb: 'ls',
  summary: 'List a folder of a device',
  usage: '[PATH]',
  options: [
    { flags: '-l, --long', description: 'with mode, user, group, bytes and time' },
    { flags: '-a, --all', description: 'also names that begin with a dot' },
  ],
  run: async (invocation, host) => (await import('./list/run-list.ts')).runList(invocation, host),
};

/** CLI half: `towline sync`. What it needs is loaded when it runs. */
export const syncCommand: PathCommand = {
  word: 'sync',
  summary: 'Make one folder like another: one side is DEVICE:PATH',
  usage: 'SOURCE TARGET',
  options: [
    { flags: '--delete', description: 'delete in the target what the source lacks, when everything else is done' },
    { flags: '--exclude <pattern>', description: 'leave out, and keep, what this pattern of gitignore matches', repeatable: true },
    { flags: '--exclude-from <file>', description: 'patterns of a file, one a line, as in .gitignore' },
    { flags: '--dry-run', description: 'only say what would be done' },
    { flags: '--checksum', description: 'compare content where size is the same, instead of times' },
    { flags: '--watch', description: 'go on: follow what changes in the source, until interrupted' },
  ],
  run: async (invocation, hostOf) => (await import('./sync/run-sync.ts')).runSync(invocation, hostOf),
};

/** CLI half: `towline cp`. What it needs is loaded when it runs. */
export const copyCommand: PathCommand = {
  word: 'cp',
  summary: 'Copy files and folders to a device or from it',
  usage: 'SOURCE... TARGET',
  options: [],
  run: async (invocation, hostOf) => (await import('./copy/run-copy.ts')).runCopy(invocation, hostOf),
};
