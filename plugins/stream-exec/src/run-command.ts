import type { CliHost, CliInvocation } from '@towline/contract';
import { attachUser, LocalTerminal, readSecretOption, reportFailure } from '@towline/process/client';
import { defined, type JsonObject, TowlineError } from '@towline/protocol';
import type { ExecRequest } from './messages.ts';

/** Runs the command and joins it to this program's streams. Resolves with the exit code. @throws TowlineError `usage`. */
export async function runCommand({ args, options }: CliInvocation, host: CliHost): Promise<number> {
  if (args.length === 0 || args[0] === '') {
    throw new TowlineError('usage', 'There is no command to run.', { hint: 'Use `towline DEVICE exec -- CMD...`.' });
  }
  const secrets = readSecretOption(options.secret);
  const terminal = options.tty === true ? new LocalTerminal(host) : null;
  const keyboard = terminal !== null && host.stdin.isTTY === true;
  // A terminal without its keyboard would be of little use, so -t brings it along, as in ssh.
  const input = options.stdin === true || keyboard;
  try {
    const { session } = await host.openSession('/exec/1', { ...bodyOf(args, terminal, input), ...defined({ secrets }) });
    return await attachUser(session, { host, input, terminal: keyboard ? terminal : null });
  } catch (error) {
    return reportFailure(error, host);
  }
}

function bodyOf(argv: readonly string[], terminal: LocalTerminal | null, input: boolean): JsonObject {
  const tty = terminal ? { tty: { ...terminal.size, term: terminal.term } } : {};
  return { argv: [...argv], stdin: input, ...tty } satisfies ExecRequest;
}
