import { describe, expect, it } from 'vitest';
import { endProcessGroup } from '../src/end-process-group.ts';
import { finishOf, isAlive, readUntil, startOnPipes, startOnTerminal, until } from './running.ts';

/** Reads the numbers that a script prints, one a line, the last followed by `ready`. */
async function pidsOf(program: { readonly outputs: readonly import('node:stream').Readable[] }): Promise<number[]> {
  const text = await readUntil(program.outputs[0]!, 'ready');
  return [...text.matchAll(/^(\d+)\r?$/gm)].map((match) => Number(match[1]));
}

describe('ending a program', () => {
  it('ends its children and their children', async () => {
    const program = await startOnPipes(['sh', '-c', 'sh -c "sleep 60 & echo \\$!; wait" & echo $!; sleep 0.2; echo ready; wait']);
    const pids = await pidsOf(program);
    expect(pids).toHaveLength(2);
    expect(await program.end()).toEqual([]);
    expect(await Promise.all([program.pid, ...pids].map(isAlive))).toEqual([false, false, false]);
  });

  it('kills those that do not listen, once the grace is over', async () => {
    const program = await startOnPipes(['sh', '-c', 'trap "" TERM HUP; echo ready; while :; do sleep 60; done'], { graceMs: 300 });
    await readUntil(program.outputs[0]!, 'ready');
    const before = performance.now();
    expect(await program.end()).toEqual([]);
    expect(performance.now() - before).toBeGreaterThan(290);
    expect(await program.exited).toEqual({ exitCode: null, signal: 'SIGKILL' });
  });

  it('gives those that clean up the time for it', async () => {
    const program = await startOnPipes(['sh', '-c', 'trap "echo cleaned; exit 3" TERM; echo ready; while :; do sleep 0.05; done']);
    await readUntil(program.outputs[0]!, 'ready');
    const ending = program.end();
    expect((await finishOf(program)).stdout).toContain('cleaned');
    expect(await program.exited).toEqual({ exitCode: 3, signal: null });
    await ending;
  });

  it('ends jobs of an interactive shell, which have groups of their own', async () => {
    const pty = await startOnTerminal(['bash', '--norc', '-i']);
    pty.input.write("set +m; set -m; sleep 60 & sleep 60 & jobs -p; echo rea''dy\n");
    const pids = await pidsOf(pty);
    expect(pids).toHaveLength(2);
    await pty.end();
    expect(await Promise.all(pids.map(isAlive))).toEqual([false, false]);
  });

  it('ends a stopped process', async () => {
    const program = await startOnPipes(['sh', '-c', 'sleep 60 & echo $!; kill -STOP $!; echo ready; wait']);
    const [pid] = await pidsOf(program);
    await program.end();
    expect(await isAlive(pid!)).toBe(false);
  });

  it('ends a child that made a session of its own, as long as its parent was there', async () => {
    const program = await startOnPipes(['sh', '-c', 'setsid sleep 60 & echo $!; sleep 0.2; echo ready; wait']);
    const [pid] = await pidsOf(program);
    await program.end();
    expect(await isAlive(pid!)).toBe(false);
  });

  it('leaves a daemon alone, which has left both the session and its parent', async () => {
    const program = await startOnPipes(['sh', '-c', '(setsid sleep 60 >/dev/null 2>&1 & echo $!); sleep 0.2; echo ready; wait']);
    const [pid] = await pidsOf(program);
    await until(async () => isAlive(pid!), 'the daemon runs');
    await program.end();
    expect(await isAlive(pid!)).toBe(true);
    process.kill(pid!, 'SIGKILL');
  });

  it('ends what a program left in the background when it has exited itself', async () => {
    const program = await startOnPipes(['sh', '-c', 'sleep 60 & echo $!; echo ready']);
    const [pid] = await pidsOf(program);
    await program.exited;
    expect(await isAlive(pid!)).toBe(true);
    await program.end();
    expect(await isAlive(pid!)).toBe(false);
  });

  it('may be asked twice, and of a program that is gone', async () => {
    const program = await startOnPipes(['true']);
    await program.exited;
    expect(await Promise.all([program.end(), program.end()])).toEqual([[], []]);
  });

  it.each([0, 1, -1, 1.5, Number.NaN])('refuses the number %d, which would mean other processes', async (pid) => {
    await expect(endProcessGroup(pid, { signal: 'SIGTERM' })).rejects.toThrow(RangeError);
  });
});
