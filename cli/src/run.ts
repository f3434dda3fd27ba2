import type { Command } from 'commander';
import { COMMANDS } from './commands/command-table.ts';
import type { Host } from './host.ts';
import type { Program } from './invocation/program.ts';
import { hasFlag, splitWords, type Words } from './invocation/words.ts';
import { helpText } from './output/help.ts';
import type { ErrorStyle } from './output/report-error.ts';
import { readVersion } from './version.ts';

/** Exit code of a wrong use. */
const WRONG_USE = 2;

/** Carries out the command line. Resolves with the exit code; what fails is reported on stderr. Never rejects. */
export async function run(host: Host): Promise<number> {
  const words = splitWords(host.argv);
  const { before, first } = words;
  if (before.includes('--version') || (first === 'version' && words.after.length === 0)) return print(host.stdout, `${readVersion()}\n`);
  if (first === 'help' && words.after.length > 0) return runCommand(host, helpOf(words.after));
  if (first === 'help' || before.includes('--help') || before.includes('-h')) return print(host.stdout, helpText());
  if (first === undefined) {
    print(host.stderr, helpText());
    return WRONG_USE;
  }
  return runCommand(host, words);
}

function print(stream: Host['stdout'], text: string): number {
  stream.write(text);
  return 0;
}

/** `towline help COMMAND` is `towline COMMAND --help`. */
function helpOf(after: readonly string[]): Words {
  return { before: [], first: after[0], after: [...after.slice(1), '--help'] };
}

/** From here on the parser and what else a command needs is loaded. */
async function runCommand(host: Host, words: Words): Promise<number> {
  const [commander, { createProgram }, { reportTo }] = await Promise.all([
    import('commander'),
    import('./invocation/program.ts'),
    import('./output/report-error.ts'),
  ]);
  const program = createProgram(host);
  try {
    const root = new commander.Command('towline').enablePositionalOptions();
    const command = await define(program, words);
    root.addCommand(command);
    return await program.parse(root, [...words.before, command.name(), ...words.after]);
  } catch (error) {
    return reportTo(host, error, { ...(program.globals ?? guessStyle(words)), failureExit: program.failureExit });
  }
}

/** How errors are wanted, where the command line could not be understood. */
function guessStyle({ before, after }: Words): ErrorStyle {
  const given = (...flags: readonly string[]) => flags.some((flag) => hasFlag([...before, ...after], flag));
  return { json: given('--json'), verbose: given('-v', '--verbose') };
}

/** The command that the first word names, be it one of ours or a device. @throws TowlineError `usage`. */
async function define(program: Program, { first = '', after }: Words): Promise<Command> {
  const entry = COMMANDS.find(({ name }) => name === first);
  if (entry !== undefined) return entry.load(program);
  const [{ deviceCommand }, { deviceWordsFault }, { deviceOfWord }, { nearWord }] = await Promise.all([
    import('./device/device-command.ts'),
    import('./device/device-words-fault.ts'),
    import('./device/device-word.ts'),
    import('./invocation/near-word.ts'),
  ]);
  const near = nearWord(
    first,
    COMMANDS.map(({ name }) => name),
  );
  const fault = deviceWordsFault(first, after, near);
  if (fault !== null) throw fault;
  return deviceCommand(program, deviceOfWord(first), after);
}
