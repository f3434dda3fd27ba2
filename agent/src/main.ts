import { isTowlineError, printable, type TowlineError, toTowlineError } from '@towline/protocol';
import { type Command, CommanderError, Option } from 'commander';
import { createRuntimeCommand } from './runtime-command.ts';
import { VERSION } from './version.ts';

/** Runs the program `towline-agent` and sets the exit code of the process. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  // Whoever reads the output may go; the device stays online.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  try {
    await createProgram().parseAsync(words, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function createProgram(): Command {
  const program = createRuntimeCommand().name('towline-agent').version(VERSION);
  program.exitOverride();
  for (const command of program.commands) {
    command.exitOverride();
    for (const option of programOptions()) command.addOption(option);
  }
  return program;
}

function programOptions(): readonly Option[] {
  return [
    new Option('--relay <url>', 'URL of the relay, https://HOST[:PORT]; kept once it was right'),
    new Option('--profile <name>', 'profile whose files to use'),
    new Option('--json', 'print one line of JSON an event on stdout'),
  ];
}

/** Commander has told its own errors already. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const known = toTowlineError(error);
  process.stderr.write(describe(known));
  // A fault of this program has no log to look into.
  if (!isTowlineError(error)) process.stderr.write(`  ${linesOf(String((error as Error).stack ?? error))}\n`);
  return known.exit;
}

function describe({ code, message, hint }: TowlineError): string {
  const told = `towline-agent: ${linesOf(message)}\n`;
  return code === 'cancelled' ? told : `${told}  ${linesOf(hint)}\n`;
}

/** Lines after the first are indented, so that no text from elsewhere can pose as a line of ours. */
function linesOf(text: string): string {
  return text.split('\n').map(printable).join('\n  ');
}
