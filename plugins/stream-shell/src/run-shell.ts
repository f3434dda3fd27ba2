import type { CliHost, CliInvocation, OpenedSession } from '@towline/contract';
import { attachUser, isPlainName, LocalTerminal, readSecretOption, reportFailure } from '@towline/process/client';
import { defined, type JsonObject, printable, TowlineError } from '@towline/protocol';
import type { ShellRequest } from './messages.ts';

/** Opens a shell on the user's terminal. Resolves with the shell's exit code. @throws TowlineError `usage`. */
export async function runShell({ args, options }: CliInvocation, host: CliHost): Promise<number> {
  if (args.length > 0) throw new TowlineError('usage', 'A shell takes no command.', { hint: 'Use `towline DEVICE exec -- CMD...`.' });
  if (!host.stdin.isTTY) {
    throw new TowlineError('usage', 'A shell needs a terminal, and standard input is none.', {
      hint: 'Use `towline DEVICE exec -- CMD...`, with -i to pass standard input on.',
    });
  }
  const secrets = readSecretOption(options.secret);
  const terminal = new LocalTerminal(host);
  try {
    const { session, device } = await host.openSession('/shell/1', { ...bodyOf(terminal, host.env), ...defined({ secrets }) });
    host.stderr.write(greeting(device));
    return await attachUser(session, { host, input: true, terminal });
  } catch (error) {
    return reportFailure(error, host);
  }
}

/** Where the user is now. The name comes from the device, so nothing in it may move the cursor. */
function greeting({ name, id, fingerprint }: OpenedSession['device']): string {
  return `towline: shell on ${printable(name)} (id ${printable(id)}, ${printable(fingerprint)})\n`;
}

function bodyOf(terminal: LocalTerminal, env: CliHost['env']): JsonObject {
  // The name of a locale stands in the first of these that is set, setlocale(3).
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  const lang = isPlainName(locale) ? { lang: locale } : {};
  return { ...terminal.size, term: terminal.term, ...lang } satisfies ShellRequest;
}
