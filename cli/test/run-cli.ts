import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pair } from './relay-peer.ts';

const BIN = join(import.meta.dirname, '..', 'bin', 'towline.js');
/** Time for one run of the program, milliseconds. */
const DEADLINE_MS = 20_000;

/** What a run left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of a user, and the program run on it. */
export interface User extends AsyncDisposable {
  readonly dir: string;
  /** Runs the built program to its end. */
  run(args: readonly string[], extra?: RunExtras): Promise<Outcome>;
  /** Starts it, for tests that act while it runs. */
  start(args: readonly string[], extra?: RunExtras): ChildProcessWithoutNullStreams;
}

export interface RunExtras {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A whole key of a user. */
export const USER_KEY = `twl_u_${'1'.repeat(16)}_${'a'.repeat(64)}`;

/** Makes a user with an empty folder who trusts the peer's CA and holds a key in the environment, unless told otherwise. */
export async function makeUser(): Promise<User> {
  const root = await mkdtemp(join(tmpdir(), 'towline-cli-'));
  const dir = join(root, 'config');
  const caFile = join(root, 'ca.pem');
  await writeFile(caFile, pair.ca.pem);
  const start: User['start'] = (args, { env = {} } = {}) =>
    spawn(process.execPath, [BIN, ...args], {
      env: { PATH: process.env.PATH, TOWLINE_CONFIG_DIR: dir, TOWLINE_CA_FILE: caFile, ...env },
    });
  return {
    dir,
    start,
    run: async (args, extra = {}) => collect(start(args, extra), extra.input ?? ''),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
}

/** Everything a run prints, until its end. */
export async function collect(child: ChildProcessWithoutNullStreams, input = ''): Promise<Outcome> {
  const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, ...texts };
}
