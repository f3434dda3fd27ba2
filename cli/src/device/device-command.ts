import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import { DEVICE_VERBS } from '../commands/command-table.ts';
import type { Program } from '../invocation/program.ts';
import { splitWords } from '../invocation/words.ts';
import { STREAM_VERBS } from './verb-table.ts';

/** Name under which the help shows a device, whatever it is called. */
const DEVICE_PLACEHOLDER = 'DEVICE';

/** Exit code for failures of our own where the codes of a remote program are passed on, as in ssh. */
const FAILURE_BESIDE_REMOTE_CODES = 255;
/** Longest text by which a device can be named. */
const LONGEST_NAME = 255;

/**
 * Defines what can be done with a device. Only the verb that was typed is loaded, the others are there by name.
 * `after` are the words after the device.
 */
export async function deviceCommand(program: Program, device: string, after: readonly string[]): Promise<Command> {
  if (device === '' || device.length > LONGEST_NAME) throw new TowlineError('usage', 'That is no name and no id of a device.');
  const typed = splitWords(after).first;
  const command = new Command(DEVICE_PLACEHOLDER).description('do something with a device').enablePositionalOptions();
  for (const { verb, summary } of DEVICE_VERBS) {
    const below = verb === typed ? await loadVerb(program, verb, device) : new Command(verb).description(summary);
    command.addCommand(below);
  }
  return command;
}

async function loadVerb(program: Program, verb: string, device: string): Promise<Command> {
  const stream = STREAM_VERBS.find((each) => each.verb === verb);
  if (stream === undefined) return loadOwnVerb(program, verb, device);
  if (stream.passesExitCode) program.failWith(FAILURE_BESIDE_REMOTE_CODES);
  const [{ streamVerbCommand }, plugin] = await Promise.all([import('./stream-verb.ts'), stream.load()]);
  return streamVerbCommand(program, plugin, device);
}

async function loadOwnVerb(program: Program, verb: string, device: string): Promise<Command> {
  if (verb === 'status') return (await import('./status-command.ts')).statusCommand(program, device);
  if (verb === 'sessions') return (await import('./sessions-command.ts')).sessionsCommand(program, device);
  return (await import('./audit-verb.ts')).deviceAuditCommand(program, device);
}
