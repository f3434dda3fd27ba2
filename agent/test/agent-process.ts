import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RuntimeEvent } from '../src/events.ts';

const BIN = join(import.meta.dirname, '..', 'bin', 'towline-agent.js');

/** A new folder for a runtime's files. */
export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'towline-agent-'));
}

/** The built program as a process of its own. */
export class AgentProcess {
  readonly child: ChildProcess;
  readonly events: RuntimeEvent[] = [];
  stdout = '';
  stderr = '';
  readonly exited: Promise<number | null>;
  #over = false;
  #waiting: (() => void)[] = [];

  constructor(dir: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [BIN, ...args], {
      // Nothing of the environment that tests run in may reach it.
      env: { PATH: process.env.PATH ?? '', HOME: dir, SHELL: '/bin/sh', TOWLINE_CONFIG_DIR: dir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface(this.child.stdout!).on('line', (line) => this.#line(line));
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    this.exited = once(this.child, 'close').then(([code]) => {
      this.#over = true;
      this.#changed();
      return code as number | null;
    });
  }

  /** The event of that name and number; fails when the process ends without it. */
  async event<Name extends RuntimeEvent['event']>(name: Name, index = 0): Promise<Extract<RuntimeEvent, { event: Name }>> {
    const find = () => this.events.filter((one) => one.event === name)[index];
    await this.until(() => find() !== undefined);
    return find() as Extract<RuntimeEvent, { event: Name }>;
  }

  /** Resolves once the condition holds; looked at after each output. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#over) throw new Error(`the runtime ended before:\n${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Ends it; resolves with the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.exited;
  }

  #line(line: string): void {
    this.stdout += `${line}\n`;
    if (line.startsWith('{"event"')) this.events.push(JSON.parse(line) as RuntimeEvent);
    this.#changed();
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Runs the program to its end. */
export async function runAgent(dir: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  await using agent = new AgentProcess(dir, args, env);
  const code = await agent.exited;
  return { code, stdout: agent.stdout, stderr: agent.stderr };
}

export { rm as removeFolder };
