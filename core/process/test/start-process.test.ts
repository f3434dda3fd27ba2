import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finishOf, ourselves, readAll, startOnPipes, startOnTerminal, until, untilBare } from './running.ts';

describe('a program on pipes', () => {
  it('keeps standard output and standard error apart', async () => {
    const program = await startOnPipes(['sh', '-c', 'echo out; echo err >&2']);
    expect(await finishOf(program)).toEqual({ stdout: 'out\n', stderr: 'err\n', exit: { exitCode: 0, signal: null } });
  });

  it('passes binary input and output on without changing a byte', async () => {
    const bytes = randomBytes(3_000_000);
    const program = await startOnPipes(['sh', '-c', 'tee /dev/stderr'], { input: true });
    program.input!.end(bytes);
    const [stdout, stderr] = await Promise.all(program.outputs.map(readAll));
    expect([hash(stdout!), hash(stderr!)]).toEqual([hash(bytes), hash(bytes)]);
  });

  it('gets its words unsplit, whatever is in them', async () => {
    const words = ['two words', '', '"quoted\'', 'line\nbreak', '$HOME `id` \\', '-n', 'ü😀', '*'];
    const program = await startOnPipes(['printf', '<%s>', ...words]);
    expect((await finishOf(program)).stdout).toBe(words.map((word) => `<${word}>`).join(''));
  });

  it('may open its outputs by name, as scripts do', async () => {
    const program = await startOnPipes(['sh', '-c', 'echo one >/dev/stdout; echo two >/dev/stderr']);
    expect(await finishOf(program)).toMatchObject({ stdout: 'one\n', stderr: 'two\n' });
  });

  it('reads an empty file when it is to have no input', async () => {
    const program = await startOnPipes(['cat']);
    expect(await finishOf(program)).toMatchObject({ stdout: '', exit: { exitCode: 0 } });
  });

  it.each([0, 1, 126, 255])('exits with %i', async (code) => {
    const program = await startOnPipes(['sh', '-c', `exit ${code}`]);
    expect(await program.exited).toEqual({ exitCode: code, signal: null });
  });

  it('exits with 127 when there is no such program', async () => {
    const program = await startOnPipes(['/no/such/program']);
    expect(await finishOf(program)).toMatchObject({ exit: { exitCode: 127 }, stderr: expect.stringContaining('/no/such/program') });
  });

  it('names the signal it died of', async () => {
    const program = await startOnPipes(['sh', '-c', 'kill -USR1 $$']);
    expect(await program.exited).toEqual({ exitCode: null, signal: 'SIGUSR1' });
  });

  it('waits while nobody reads its output', async () => {
    const program = await startOnPipes(['sh', '-c', 'head -c 67108864 /dev/zero; echo done >&2']);
    await expectStall(program.pid);
    expect((await readAll(program.outputs[0]!)).length).toBe(67_108_864);
    expect((await readAll(program.outputs[1]!)).toString()).toBe('done\n');
  });

  it('holds no descriptor but the three, although terminals are open beside it', async () => {
    await startOnTerminal(['sleep', '60']);
    await startOnTerminal(['sleep', '60']);
    const program = await startOnPipes(['sleep', '60']);
    const terminal = await startOnTerminal(['sleep', '60']);
    for (const { pid } of [program, terminal]) await untilBare(pid, 'sleep');
  });

  it('sees nothing of the environment of the runtime', async () => {
    process.env.TOWLINE_API_KEY = 'twl_d_planted';
    const program = await startOnPipes(['env', '-0']).finally(() => {
      delete process.env.TOWLINE_API_KEY;
    });
    const names = (await finishOf(program)).stdout.split('\0').map((pair) => pair.split('=')[0]);
    const ofTheEntryShell = ['PWD', 'SHLVL', '_', ''];
    const ours = names.filter((name) => !ofTheEntryShell.includes(name!));
    expect(ours.sort()).toEqual(['HOME', 'LANG', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TOWLINE_SESSION', 'TOWLINE_USER', 'USER']);
  });

  it('begins in the home folder with the limits of a login', async () => {
    const program = await startOnPipes(['sh', '-c', 'pwd; umask; ulimit -S -n']);
    expect((await finishOf(program)).stdout).toBe(`${ourselves.account.home}\n0022\n1024\n`);
  });

  it('begins in the root folder when there is no home folder', async () => {
    const identity = { ...ourselves, account: { ...ourselves.account, home: '/no/such/home' } };
    const program = await startOnPipes(['pwd'], { identity });
    expect((await finishOf(program)).stdout).toBe('/\n');
  });

  it('leaves no pipe behind in the temporary folder', async () => {
    const before = process.env.TMPDIR;
    const folder = mkdtempSync(join(tmpdir(), 'towline-tmp-'));
    process.env.TMPDIR = folder;
    try {
      await finishOf(await startOnPipes(['true']));
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      rmSync(folder, { recursive: true });
    }
  });
});

/** Waits until a process of the session sleeps in a write and its output does not grow any more. */
async function expectStall(leader: number): Promise<void> {
  const { readFileSync } = await import('node:fs');
  const written = () => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${childOf(leader)}/io`, 'utf8'))?.[1]);
  const childOf = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim() || String(pid);
  let before = -1;
  let same = 0;
  await until(() => {
    const now = written();
    same = now === before && now > 0 ? same + 1 : 0;
    before = now;
    return same >= 20;
  }, 'the program stalls');
  expect(before).toBeLessThan(1_000_000);
}

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
