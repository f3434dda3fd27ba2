import type { StreamCommand } from '@towline/contract';

/** CLI half: `towline DEVICE exec`. What it needs is loaded when it runs. */
export const command: StreamCommand = {
  verb: 'exec',
  summary: 'Run a command on a device and pass on its output and exit code',
  usage: '-- CMD...',
  options: [
    { flags: '-i, --stdin', description: 'pass standard input on to the command' },
    { flags: '-t, --tty', description: 'run the command on a terminal; ~. at the beginning of a line leaves it' },
    { flags: '--secret <name>', description: 'set this secret, NAME or SCOPE/NAME, in the environment there', repeatable: true },
  ],
  run: async (invocation, host) => (await import('./run-command.ts')).runCommand(invocation, host),
};
