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

/** CLI half: `towline cp`. What it needs is loaded when it runs. */
export const copyCommand: PathCommand = {
  word: 'cp',
  summary: 'Copy files and folders to a device or from it',
  usage: 'SOURCE... TARGET',
  options: [],
  run: async (invocation, hostOf) => (await import('./copy/run-copy.ts')).runCopy(invocation, hostOf),
};
