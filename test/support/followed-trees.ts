import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bin, type Program, startProgram } from './process.ts';
import { eventually, type TestRelay, type TestSystem } from './system.ts';
import { differencesOf } from './trees.ts';

/** A machine under load takes its time; what is shown by watches is not how fast they are. */
export const PATIENCE_MS = 60_000;

/** Which way a tree is followed, and the words for it with a device named `pi`. */
export const directions = [
  ['to the device', (source: string, target: string) => [source, `pi:${target}`]],
  ['from the device', (source: string, target: string) => [`pi:${source}`, target]],
] as const;

/** Makes places for trees in a folder, each time others: a source with one file in a folder, and a target that is not there. */
export function createPlaces(dir: () => string): () => { readonly source: string; readonly target: string } {
  let count = 0;
  return () => {
    count += 1;
    const source = join(dir(), `source-${count}`);
    mkdirSync(join(source, 'sub'), { recursive: true });
    writeFileSync(join(source, 'sub', 'one'), 'first');
    return { source, target: join(dir(), `target-${count}`) };
  };
}

/** Waits until both trees are equal. */
export async function settled(source: string, target: string, what: string): Promise<void> {
  const look = () => {
    try {
      return differencesOf(source, target);
    } catch (error) {
      // A path may go while it is looked at.
      return [String(error)];
    }
  };
  await eventually(async () => look().length === 0, what, PATIENCE_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${look().join('\n')}`);
  });
}

/** The runs that a command with `--json` has told of. */
export function runsOf({
  stdout,
}: Program): { readonly sent: number; readonly unchanged: number; readonly deleted: number; readonly failed: number }[] {
  const lines = stdout.slice(0, stdout.lastIndexOf('\n') + 1).split('\n');
  return lines.filter((line) => line.includes('"event":"run"')).map((line) => JSON.parse(line));
}

/** Waits for something that a command says. */
export async function says(program: Program, pattern: RegExp, what: string): Promise<void> {
  await eventually(async () => pattern.test(program.stdout), what, PATIENCE_MS);
}

/** Runs what follows with two watches in all. */
const LIMITED = ['-U', '--map-root-user', 'sh', '-c', 'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"', 'sh'];
/** Whether a program can be started with too few watches here. */
export const canLimitWatches = spawnSync('unshare', [...LIMITED, 'true']).status === 0;

/** Follows a tree with too few watches for it. */
export function startLimited({ dir }: TestSystem, { url, fingerprint, adminKey }: TestRelay, words: readonly string[]): Program {
  const env = { TOWLINE_RELAY: url, TOWLINE_TLS_FINGERPRINT: fingerprint, TOWLINE_API_KEY: adminKey };
  return startProgram('unshare', [...LIMITED, bin('towline'), '--json', 'sync', '--watch', ...words], {
    env: { ...env, TOWLINE_CONFIG_DIR: join(dir, 'limited') },
  });
}
