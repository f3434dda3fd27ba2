import { TowlineError } from '@towline/protocol';
import { DEVICE_VERBS } from '../commands/command-table.ts';
import { splitWords } from '../invocation/words.ts';
import { shown } from '../output/terminal-text.ts';

/** What is wrong with words that name neither a command nor something to do with a device; null when they do. */
export function deviceWordsFault(first: string, after: readonly string[], near: string | undefined): TowlineError | null {
  const verb = splitWords(after).first;
  const asksHelp = after.includes('--help') || after.includes('-h');
  if (verb === undefined ? asksHelp : DEVICE_VERBS.some((each) => each.verb === verb)) return null;
  const verbs = DEVICE_VERBS.map((each) => each.verb).join(', ');
  const meant = near === undefined ? '' : `Did you mean \`towline ${near}\`? `;
  const what =
    verb === undefined
      ? `“${shown(first, 80)}” is no command; for a device of that name, say what to do.`
      : `“${shown(first, 80)}” is no command, and “${shown(verb, 80)}” is nothing that can be done with a device.`;
  return new TowlineError('usage', what, { hint: `${meant}With a device: ${verbs}. See \`towline --help\`.` });
}
