import { COMMANDS, DEVICE_VERBS } from '../commands/command-table.ts';
import { GLOBAL_OPTION_LINES } from '../invocation/global-option-table.ts';

/** Text of `towline --help`. Made without loading any command. */
export function helpText(): string {
  const lines = [
    'Usage: towline [options] COMMAND …',
    '       towline [options] DEVICE VERB …',
    '',
    'Reaches devices that accept no inbound connection, through a relay of your own.',
    '',
    'Commands:',
    ...COMMANDS.map(({ usage, summary }) => row(usage, summary)),
    '',
    'With a device (its id, its name, or an unambiguous beginning of its id):',
    ...DEVICE_VERBS.map(({ verb, summary }) => row(`DEVICE ${verb}`, summary)),
    '',
    'A first word that is no command is a device; device:NAME always means a device.',
    '',
    'Options, before the command or after it:',
    ...GLOBAL_OPTION_LINES.map(([flags, summary]) => row(flags, summary)),
    row('-h, --help', 'show help, also of a command: towline COMMAND --help'),
    row('--version', 'show the version'),
    '',
    'Exit codes: 0 done, 1 failed, 2 wrong use, 3 not logged in or not allowed, 4 no such thing, 5 device offline,',
    '130 interrupted. `exec` and `shell` pass on the remote code, and use 255 for failures of our own.',
  ];
  return `${lines.join('\n')}\n`;
}

/** Column in which the summaries begin. */
const SUMMARY_AT = 26;

function row(what: string, summary: string): string {
  return what.length + 2 < SUMMARY_AT ? `  ${what.padEnd(SUMMARY_AT - 2)}${summary}` : `  ${what}\n${' '.repeat(SUMMARY_AT)}${summary}`;
}
