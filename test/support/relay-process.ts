import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bin, type Finished, type ProgramOptions, runProgram, startProgram } from './process.ts';
import type { TestRelay } from './system.ts';

/** How a relay is started on a data folder that the test chose. */
export interface RelayStart {
  /** Path of a config file. */
  readonly config?: string;
  readonly port?: number;
  readonly host?: string;
  /** Further words of the command line; the last of two equal flags counts. */
  readonly args?: readonly string[];
  readonly env?: ProgramOptions['env'];
  readonly cwd?: string;
}

/** Starts a relay on a data folder, as often as a test wants, and waits until it serves. The caller ends it. */
export async function startRelayOn(data: string, start: RelayStart = {}): Promise<TestRelay> {
  const { config, port = 0, host = '127.0.0.1', args = [], env = {}, cwd } = start;
  const words = ['start', ...(config === undefined ? [] : ['--config', config]), '--data', data, '--host', host, '--port', String(port)];
  const program = startProgram(bin('towline-relay'), [...words, ...args], { env, ...(cwd === undefined ? {} : { cwd }) });
  try {
    const [, url = '', fingerprint = ''] = await program.saw(/^ready url=(\S+)(?: fingerprint=(\S+))?$/m);
    const keyFile = join(data, 'admin.key');
    return {
      program,
      dir: data,
      url,
      port: Number(new URL(url).port),
      fingerprint,
      adminKey: existsSync(keyFile) ? readFileSync(keyFile, 'utf8').trim() : '',
      [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
    };
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts a relay anew where an earlier one was: same folder, same port. */
export function restartRelay(relay: TestRelay, start: RelayStart = {}): Promise<TestRelay> {
  return startRelayOn(relay.dir, { port: relay.port, ...start });
}

/** Runs `towline-relay` to its end. */
export function runRelay(args: readonly string[], options: ProgramOptions = {}): Promise<Finished> {
  return runProgram(bin('towline-relay'), args, options);
}

/** Sends a signal to a relay and waits for its end. */
export function endRelay(relay: TestRelay, signal: NodeJS.Signals): Promise<Finished> {
  relay.program.child.kill(signal);
  return relay.program.finished;
}
