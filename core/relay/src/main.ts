import { toTowlineError } from '@towline/contract';
import { printable } from '@towline/protocol';
import { createProgram } from './program.ts';

/** Runs the command line and answers the exit code. Whatever fails is told in words, with what to do next. */
async function main(): Promise<number> {
  try {
    await createProgram().parseAsync();
    return 0;
  } catch (thrown) {
    return report(thrown);
  }
}

function report(thrown: unknown): number {
  const { code, exitCode } = thrown as { code?: string; exitCode?: number };
  // commander has printed its own text already.
  if (code?.startsWith('commander.')) return exitCode === 0 ? 0 : 2;
  const error = toTowlineError(thrown);
  const text = error.message.split('\n').map(printable).join('\n');
  process.stderr.write(`towline-relay: ${text}\n${error.hint === '' ? '' : `${printable(error.hint)}\n`}`);
  if (error.code === 'internal') process.stderr.write(`${String((error.cause as Error | undefined)?.stack ?? error.detail ?? '')}\n`);
  return error.exit;
}

const code = await main();
// What a plugin left open must not keep a command alive that is over.
process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
