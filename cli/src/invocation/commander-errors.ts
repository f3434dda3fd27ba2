import { TowlineError } from '@towline/protocol';
import type { Command, CommanderError } from 'commander';

/** Whether commander only ended because it had printed the help: it says so by an error. */
export function endedWell(error: CommanderError): boolean {
  return error.exitCode === 0;
}

/** A wrong use that commander found, in our own form: what is wrong, then what to do. */
export function toUsageError(error: CommanderError, command: Command | undefined): TowlineError {
  const [first = '', ...others] = error.message.replace(/^error: /, '').split('\n');
  const suggestion = others.join(' ').replace(/^\(|\)$/g, '');
  const help = `See \`${helpCommand(command)}\`.`;
  // With an empty message commander found a command group without a command.
  const what = error.code === 'commander.help' ? 'Say what to do.' : sentence(first);
  return new TowlineError('usage', what, { hint: suggestion ? `${suggestion} ${help}` : help });
}

function helpCommand(command: Command | undefined): string {
  const words: string[] = [];
  for (let each = command ?? null; each !== null; each = each.parent) words.unshift(each.name());
  return `${words.join(' ') || 'towline'} --help`;
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return upper.endsWith('.') ? upper : `${upper}.`;
}
