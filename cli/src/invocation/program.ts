import { type Command, CommanderError } from 'commander';
import type { Context } from '../context.ts';
import { createContext } from '../context.ts';
import type { Host } from '../host.ts';
import { endedWell, toUsageError } from './commander-errors.ts';
import { addGlobalOptions, type GlobalOptions, readGlobalOptions } from './global-options.ts';

/** What was typed for a command. */
export interface Typed {
  readonly args: readonly string[];
  /** By camel-cased long name. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

/** What a command does; resolves with its exit code, 0 when it says nothing. */
export type Action = (context: Context, typed: Typed) => Promise<number | undefined>;

/** One run of the program, as the definitions of commands see it. */
export interface Program {
  readonly host: Host;
  /** Makes a command carry out an action. */
  bind(command: Command, action: Action): Command;
  /** Errors end the program with this code from here on: the command passes on codes of a remote program. */
  failWith(exitCode: number): void;
}

/** A program that can be run. */
export interface RunnableProgram extends Program {
  /** The global options of the command, once they are understood. */
  readonly globals: GlobalOptions | undefined;
  /** Exit code for failures of our own, where the command has one. */
  readonly failureExit: number | undefined;
  /** Runs what the words say, from the root command. @throws TowlineError, `usage` for a wrong use. */
  parse(root: Command, words: readonly string[]): Promise<number>;
}

/** Makes a program on a host. */
export function createProgram(host: Host): RunnableProgram {
  let exitCode = 0;
  let failureExit: number | undefined;
  let globals: GlobalOptions | undefined;
  return {
    host,
    get globals() {
      return globals;
    },
    get failureExit() {
      return failureExit;
    },
    failWith: (code) => {
      failureExit = code;
    },
    bind: (command, action) =>
      command.action(async () => {
        const args = command.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string');
        globals = readGlobalOptions(command);
        exitCode = (await action(createContext(host, globals), { args, options: command.opts() })) ?? 0;
      }),
    parse: async (root, words) => {
      addGlobalOptions(root);
      catchExits(root, host);
      try {
        await root.parseAsync(words, { from: 'user' });
      } catch (error) {
        if (!(error instanceof CommanderError && endedWell(error))) throw error;
      }
      return exitCode;
    },
  };
}

/** Commander would print and exit by itself; here it throws, on every command of the tree. */
function catchExits(command: Command, host: Host): void {
  command.exitOverride((error) => {
    throw endedWell(error) ? error : toUsageError(error, command);
  });
  command.configureOutput({
    writeOut: (text) => void host.stdout.write(text),
    writeErr: (text) => void host.stderr.write(text),
    outputError: () => {},
  });
  for (const below of command.commands) catchExits(below, host);
}
