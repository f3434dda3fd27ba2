import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { createId, type SessionId } from '@towline/protocol';
import { afterEach } from 'vitest';
import { ownAccount } from '../src/account.ts';
import type { Identity } from '../src/identity.ts';
import { loginEnvironment } from '../src/login-environment.ts';
import { openPty } from '../src/open-pty.ts';
import { listProcesses } from '../src/process-table.ts';
import type { Program } from '../src/program.ts';
import { startProcess } from '../src/start-process.ts';

/** The user the tests run as. */
export const ourselves: Identity = { account: { ...ownAccount(process.env), shell: '/bin/bash' }, switchUser: [] };

const started: Program[] = [];

afterEach(async () => {
  for (const program of started.splice(0)) {
    await program.end();
    program.close();
  }
});

/** Environment of a program of the tests. */
export function environment(identity: Identity = ourselves): Record<string, string> {
  return loginEnvironment({
    account: identity.account,
    session: createId<SessionId>(),
    principal: 'tester',
    term: 'xterm',
    lang: 'C.UTF-8',
  });
}

/** Starts a command on pipes; it is ended after the test. */
export async function startOnPipes(argv: readonly string[], options: { input?: boolean; identity?: Identity; graceMs?: number } = {}) {
  const { identity = ourselves, input = false, graceMs } = options;
  const program = await startProcess({ identity, argv, env: environment(identity), input, ...(graceMs === undefined ? {} : { graceMs }) });
  started.push(program);
  return program;
}

/** Starts a command on a terminal; it is ended after the test. */
export async function startOnTerminal(argv: readonly string[], options: { identity?: Identity; cols?: number; rows?: number } = {}) {
  const { identity = ourselves, cols = 80, rows = 24 } = options;
  const pty = await openPty({ identity, argv, env: environment(identity), cols, rows });
  started.push(pty);
  return pty;
}

/** Everything a stream brings. */
export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Reads until the text stands in what was read, and returns that. */
export async function readUntil(stream: Readable, text: string): Promise<string> {
  let read = '';
  while (!read.includes(text)) {
    const chunk = stream.read() as Buffer | null;
    if (chunk !== null) read += chunk.toString('utf8');
    else if (stream.readableEnded) throw new Error(`ended before ${JSON.stringify(text)}: ${JSON.stringify(read)}`);
    else await once(stream, 'readable', { signal: AbortSignal.timeout(10_000) });
  }
  return read;
}

/** What both outputs of a program on pipes bring, and how it ended. */
export async function finishOf({ outputs, exited }: Program) {
  const [stdout, stderr] = await Promise.all(outputs.map(readAll));
  return { stdout: stdout!.toString(), stderr: stderr?.toString() ?? '', exit: await exited };
}

/** Whether a process of that number is alive. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await listProcesses()).some((entry) => entry.pid === pid);
}

/** Waits, looking again and again, until a condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits until a process has become the program of that name and has no descriptor but the three. */
export function untilBare(pid: number, name: string): Promise<void> {
  const isBare = () => readFileSync(`/proc/${pid}/comm`, 'utf8') === `${name}\n` && readdirSync(`/proc/${pid}/fd`).join() === '0,1,2';
  return until(isBare, `${name} has no descriptor but the three`);
}
