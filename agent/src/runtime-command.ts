import { TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { RuntimeIo } from './runtime.ts';
import type { RunOptions } from './settings.ts';

/** What the commands are given by the process they run in. */
export type CommandIo = Omit<RuntimeIo, 'signal'>;

/** The io of this process. */
export const processIo: CommandIo = Object.freeze({
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
});

/** Options that the program declares on all its commands; here they are only read. */
const PROGRAM_OPTIONS = Object.freeze(['relay', 'profile', 'json'] as const);

/**
 * The commands of the device runtime: run, login, logout, status. The program that mounts them declares `--relay URL`,
 * `--profile NAME` and `--json`, on itself or on every command. What fails rejects with a TowlineError, whose
 * `exit` is the exit code; `cancelled` after an interrupt by SIGINT.
 */
export function createRuntimeCommand(io: CommandIo = processIo): Command {
  const runtime = new Command('runtime').description('runs this machine as a device of a relay');
  withEnrolmentOptions(runtime.command('run'))
    .description('keeps this device online; enrols it first where needed')
    .option('--run-as <user>', 'user that shells and commands run as; needed when the runtime is root')
    .action((_options, command: Command) =>
      untilSignalled(async (signal) => {
        const { runRuntime } = await import('./runtime.ts');
        await runRuntime(optionsOf(command), { ...io, signal });
      }),
    );
  withEnrolmentOptions(runtime.command('login'))
    .description('enrols this device and exits')
    .action((_options, command: Command) =>
      untilSignalled(async (signal) => {
        const { enrolDevice } = await import('./runtime.ts');
        await enrolDevice(optionsOf(command), { ...io, signal });
      }),
    );
  runtime
    .command('logout')
    .description('forgets the credential of this device')
    .action(async (_options, command: Command) => {
      const { logOut } = await import('./log-out.ts');
      await logOut(optionsOf(command), io);
    });
  runtime
    .command('status')
    .description('tells what the runtime on this machine is doing')
    .action(async (_options, command: Command) => {
      const { showStatus } = await import('./show-status.ts');
      await showStatus(optionsOf(command), io);
    });
  return runtime;
}

function withEnrolmentOptions(command: Command): Command {
  return command
    .option('--email <address>', 'person who is to own and approve the device')
    .option('--org <id>', 'organisation that is to own and approve the device')
    .option('--name <name>', 'name to ask for; the host name without')
    .option('--transport <name>', 'how the relay is reached: auto, quic, tls or websocket; auto takes the best that works')
    .option('--fingerprint <sha256:hex>', "pin of the relay's CA, as the relay prints it when it is ready")
    .option('--ca <file>', "PEM file with the relay's CA");
}

/** What was typed; an option of the program counts wherever it stands, the nearest first. */
function optionsOf(command: Command): RunOptions {
  const options: Record<string, unknown> = { ...command.opts() };
  for (let above = command.parent; above !== null; above = above.parent) {
    for (const name of PROGRAM_OPTIONS) options[name] ??= above.opts()[name];
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** Runs until done or told to stop. SIGTERM is how services are stopped, and a success; SIGINT is not. */
async function untilSignalled(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const interrupt = new TowlineError('cancelled', 'Interrupted.');
  const onInterrupt = () => stop.abort(interrupt);
  const onTerminate = () => stop.abort(new TowlineError('cancelled', 'Stopped by SIGTERM.'));
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  try {
    await work(stop.signal);
    if (stop.signal.reason === interrupt) throw interrupt;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}
