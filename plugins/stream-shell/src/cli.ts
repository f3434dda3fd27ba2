import type { StreamCommand } from '@towline/contract';

/** CLI half: `towline DEVICE shell`. What it needs is loaded when it runs. */
export const command: StreamCommand = {
  verb: 'shell',
  summary: 'Open a shell on a device; ~. at the beginning of a line leaves it',
  usage: '',
  options: [{ flags: '--secret <name>', description: 'set this secret, NAME or SCOPE/NAME, in the environment there', repeatable: true }],
  run: async (invocation, host) => (await import('./run-shell.ts')).runShell(invocation, host),
};
