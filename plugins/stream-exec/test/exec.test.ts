import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { listProcesses } from '@towline/process';
import { createId, type SessionId, TowlineError } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { openExec, runCli, startCli, until } from './session-pair.ts';

/** Prints a line and stays. No shell: one that forks just now may miss a signal. */
const staying = ['tail', '-n', '1', '-f', '/etc/passwd'];
const sh = (script: string) => ['sh', '-c', script];
const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const isAlive = async (pid: number) => (await listProcesses()).some((entry) => entry.pid === pid);

describe('exec', () => {
  it('prints both outputs, each where it belongs', async () => {
    const { code, stdout, stderr } = await runCli(sh('echo out; echo err >&2'));
    expect([code, stdout.toString(), stderr.toString()]).toEqual([0, 'out\n', 'err\n']);
  });

  it.each([0, 1, 3, 126, 255])('passes exit code %i on', async (wanted) => {
    expect((await runCli(sh(`exit ${wanted}`))).code).toBe(wanted);
  });

  it('exits with 127 when there is no such program', async () => {
    const { code, stderr } = await runCli(['no-such-program-here']);
    expect([code, stderr.toString()]).toEqual([127, expect.stringContaining('no-such-program-here')]);
  });

  it.each([
    ['TERM', 143],
    ['KILL', 137],
    ['INT', 130],
  ])('exits with 128+n for a command that SIG%s ended', async (signal, code) => {
    expect((await runCli(sh(`kill -${signal} $$`))).code).toBe(code);
  });

  it('passes the end of the input on', async () => {
    const { code, stdout } = await runCli(['cat'], { stdin: 'x\n' });
    expect([code, stdout.toString()]).toEqual([0, 'x\n']);
  });

  it('gives a command without -i an empty input', async () => {
    const { code, stdout } = await runCli(['cat']);
    expect([code, stdout.toString()]).toEqual([0, '']);
  });

  it('carries every byte unchanged on all three channels', async () => {
    const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)), randomBytes(5_000_000)]);
    const { code, stdout, stderr } = await runCli(['tee', '/dev/stderr'], { stdin: bytes });
    expect([code, hash(stdout), hash(stderr)]).toEqual([0, hash(bytes), hash(bytes)]);
  });

  it('hands the words over unsplit', async () => {
    const words = ['two words', "'", '"', 'a\nb', '$HOME', '`id`', '\\', '', 'ü😀', '--', '-n'];
    const { stdout } = await runCli(['printf', '<%s>', ...words]);
    expect(stdout.toString()).toBe(words.map((word) => `<${word}>`).join(''));
  });

  it('ends at once with what is left in the background, which it ends too', async () => {
    const before = performance.now();
    const { code, stdout } = await runCli(sh('sleep 100 & echo $!; echo hi'));
    const [pid, text] = stdout.toString().split('\n');
    expect([code, text]).toEqual([0, 'hi']);
    expect(performance.now() - before).toBeLessThan(4_000);
    expect(await isAlive(Number(pid))).toBe(false);
  });

  it('still prints what a background process writes soon after', async () => {
    expect((await runCli(sh('(sleep 0.4; echo late) & echo hi'))).stdout.toString()).toBe('hi\nlate\n');
  });

  it('waits for a slow reader after the command has exited, and loses nothing', async () => {
    const { client, served } = await openExec({ argv: sh('seq 1 3000000'), stdin: false });
    let settled = false;
    served.finally(() => (settled = true)).catch(() => {});
    const input = client.input(0);
    input.pause();
    await until(() => input.readableLength > 0, 'output has come');
    const digest = createHash('sha256');
    let pauses = 0;
    for await (const chunk of input) {
      digest.update(chunk as Buffer);
      // Longer in all than the silence after which a background process is given up.
      if (pauses++ < 3) await new Promise((resolve) => setTimeout(resolve, 500));
      if (pauses === 3) expect(settled).toBe(false);
    }
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 0 });
    const expected = createHash('sha256');
    for (let at = 1; at <= 3_000_000; at += 1) expected.update(`${at}\n`);
    expect(digest.digest('hex')).toBe(expected.digest('hex'));
  });

  it('makes the command wait for a reader that does not read', async () => {
    const { client } = await openExec({ argv: sh('echo $$; exec cat /dev/zero'), stdin: false });
    const input = client.input(0);
    const first = await new Promise<Buffer>((resolve) => input.once('data', resolve));
    input.pause();
    const pid = Number.parseInt(first.toString(), 10);
    const written = () => Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
    let before = -1;
    let same = 0;
    await until(() => {
      const now = written();
      same = now === before ? same + 1 : 0;
      before = now;
      return same >= 30;
    }, 'the command stalls');
    // The windows of the session and the sockets, and no more.
    expect(before).toBeLessThan(16_000_000);
  });

  it('does not stop when the command reads none of a large input', async () => {
    const { code, stdout } = await runCli(sh('head -c 9000000 /dev/zero; cat >/dev/null; echo done'), { stdin: randomBytes(9_000_000) });
    expect([code, stdout.length, stdout.subarray(-5).toString()]).toEqual([0, 9_000_005, 'done\n']);
  });

  it('ends when the command does, however much input is left', async () => {
    const { code, stdout } = await runCli(['head', '-c', '3'], { stdin: Buffer.alloc(9_000_000, 'a') });
    expect([code, stdout.toString()]).toEqual([0, 'aaa']);
  });

  it('hears a signal beside an input that nobody reads', async () => {
    const { client } = await openExec({ argv: staying, stdin: true });
    await new Promise((resolve) => client.input(0).once('data', resolve));
    client.output(0).write(Buffer.alloc(1_000_000));
    await client.send({ signal: 'INT' });
    expect(await client.result).toEqual({ reason: 'signalled', signal: 'SIGINT' });
  });

  it('takes no notice of messages that it does not know', async () => {
    const { client } = await openExec({ argv: sh('echo ready; sleep 0.3'), stdin: false });
    for (const message of [
      {},
      { signal: 'STOP' },
      { signal: 9 },
      { resize: { cols: 0, rows: -1 } },
      { resize: { cols: 80, rows: 24 } },
      { x: 1 },
    ]) {
      await client.send(message);
    }
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 0 });
  });

  it('runs in a session of its own that knows its id and who opened it', async () => {
    const { client } = await openExec({ argv: sh('echo $TOWLINE_SESSION $TOWLINE_USER'), stdin: false });
    const [line] = (await client.input(0).toArray()) as Buffer[];
    expect(line!.toString()).toBe(`${client.id} ada@example.com\n`);
  });
});

describe('exec when its session is over', () => {
  it.each(['given up by the client', 'broken', 'ended by the device'] as const)(
    '%s: the command, its children and their children are gone',
    async (how) => {
      const { client, device, socket, served } = await openExec({
        argv: sh('sh -c "sleep 100 & echo $$ \\$!; wait" & wait'),
        stdin: false,
      });
      const line = await new Promise<Buffer>((resolve) => client.input(0).once('data', resolve));
      const pids = line.toString().trim().split(' ').map(Number);
      expect(await Promise.all(pids.map(isAlive))).toEqual([true, true]);
      if (how === 'broken') socket.destroy();
      else if (how === 'ended by the device') device.abort(new TowlineError('session_ended'));
      else client.cancel();
      // A bare socket does not carry why it was reset, as a stream of a link does.
      expect(await served).toMatchObject({ reason: how === 'ended by the device' ? 'ended' : 'broken' });
      expect(await Promise.all(pids.map(isAlive))).toEqual([false, false]);
    },
  );

  it('ends a command that nobody reads from', async () => {
    const { client, served } = await openExec({ argv: sh('exec cat /dev/zero'), stdin: false });
    await until(() => client.input(0).readableLength > 0, 'output has come');
    client.cancel();
    expect(await served).toMatchObject({ reason: 'broken' });
  });
});

describe('exec on a terminal', () => {
  const tty = { cols: 100, rows: 30, term: 'xterm' };

  it('has the size of the terminal and follows it', async () => {
    const { client } = await openExec({
      argv: ['bash', '-c', 'trap "stty size; exit 7" WINCH; stty size; while :; do read -t 1; done'],
      stdin: false,
      tty,
    });
    const input = client.input(0);
    const first = await new Promise<Buffer>((resolve) => input.once('data', resolve));
    expect(first.toString()).toBe('30 100\r\n');
    await client.send({ resize: { cols: 90, rows: 20 } });
    expect(Buffer.concat((await input.toArray()) as Buffer[]).toString()).toBe('20 90\r\n');
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 7 });
  });

  it('reads the end of the input as Ctrl-D', async () => {
    const { client } = await openExec({ argv: ['cat'], stdin: true, tty });
    client.output(0).end('abc');
    expect(Buffer.concat((await client.input(0).toArray()) as Buffer[]).toString()).toContain('abcabc');
  });

  it('is interrupted by a signal as by the key', async () => {
    const { client } = await openExec({ argv: staying, stdin: false, tty });
    await new Promise((resolve) => client.input(0).once('data', resolve));
    await client.send({ signal: 'INT' });
    expect(await client.result).toEqual({ reason: 'signalled', signal: 'SIGINT' });
  });

  it('brings all output to a slow reader before the result', async () => {
    const { client } = await openExec({ argv: sh('stty -opost; seq 1 900000'), stdin: false, tty });
    const input = client.input(0).pause();
    await until(() => input.readableLength > 0, 'output has come');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const text = Buffer.concat((await input.toArray()) as Buffer[]).toString();
    expect(text.length).toBe(6_188_895);
    expect(text.endsWith('\n899999\n900000\n')).toBe(true);
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 0 });
  });

  it('ends with its program, and what is in the background with it', async () => {
    const { client } = await openExec({ argv: ['bash', '-c', 'set -m; sleep 100 & echo $!'], stdin: false, tty });
    const text = Buffer.concat((await client.input(0).toArray()) as Buffer[]).toString();
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 0 });
    expect(await isAlive(Number.parseInt(text, 10))).toBe(false);
  });
});

describe('the CLI half of exec', () => {
  it('ends quietly when nobody reads its output any more', async () => {
    const { finished, opened } = await startCli(['yes'], { shell: '{ "$@"; echo $? >&2; } | head -n 1' });
    const { stdout, stderr } = await finished;
    expect([stdout.toString(), stderr.toString()]).toEqual(['y\n', '141\n']);
    expect(await (await opened).served).toMatchObject({ reason: 'broken' });
  });

  it('says so when its output cannot be written', async () => {
    const { finished } = await startCli(['yes'], { shell: '"$@" >/dev/full' });
    expect(await finished).toMatchObject({ code: 255 });
    expect((await finished).stderr.toString()).toMatch(/^towline: The output could not be written: ENOSPC/);
  });

  it('sends the first Ctrl-C to the command and passes on what comes of it', async () => {
    const { child, finished } = await startCli(sh('trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done'));
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    const { code, stdout } = await finished;
    expect([code, stdout.toString()]).toEqual([9, 'ready\ncaught\n']);
  });

  it('exits with 130 when the command dies of it', async () => {
    const { child, finished } = await startCli(staying);
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    expect((await finished).code).toBe(130);
  });

  it('gives up at a second Ctrl-C soon after, and the command is ended', async () => {
    const { child, finished, opened } = await startCli(sh('trap "echo caught" INT; echo ready; while :; do sleep 0.05; done'));
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    await once(child.stdout!, 'data');
    child.kill('SIGINT');
    expect((await finished).code).toBe(130);
    expect(await (await opened).served).toMatchObject({ reason: 'broken' });
  });

  it('gives up at SIGTERM', async () => {
    const { child, finished, opened } = await startCli(staying);
    await once(child.stdout!, 'data');
    child.kill('SIGTERM');
    expect((await finished).code).toBe(143);
    expect(await (await opened).served).toMatchObject({ reason: 'broken' });
  });

  it('ends its command when a hang-up ends it', async () => {
    const { child, finished, opened } = await startCli(staying);
    await once(child.stdout!, 'data');
    child.kill('SIGHUP');
    await finished;
    expect(child.signalCode).toBe('SIGHUP');
    expect(await (await opened).served).toMatchObject({ reason: 'broken' });
  });

  it('exits with 255 and says why when the session breaks', async () => {
    const { child, finished, opened } = await startCli(staying);
    await once(child.stdout!, 'data');
    (await opened).socket.destroy();
    expect((await finished).code).toBe(255);
    expect((await finished).stderr.toString()).toMatch(/^towline: The session broke/);
  });

  it('reads standard input only with -i', async () => {
    const without = await startCli(['cat'], { shell: '{ "$@"; cat; }' });
    without.child.stdin!.end('left for the next');
    expect((await without.finished).stdout.toString()).toBe('left for the next');
    const given = await startCli(['cat'], { options: { stdin: true }, shell: 'echo x | "$@"' });
    expect(await given.finished).toMatchObject({ code: 0, stdout: Buffer.from('x\n') });
  });

  it('ends with its command although its input stays open', async () => {
    const { finished } = await startCli(['true'], { options: { stdin: true } });
    expect((await finished).code).toBe(0);
  });

  it('asks for a command', async () => {
    await expect(runCli([])).rejects.toMatchObject({ code: 'usage' });
  });

  it('refuses words that no program can be given, before anything is opened', async () => {
    await expect(openExec({ argv: ['a\0b'], stdin: false })).rejects.toThrow(/NUL/);
    await expect(openExec({ argv: [], stdin: false })).rejects.toThrow();
    await expect(openExec({ argv: [''], stdin: false })).rejects.toThrow();
    await expect(openExec({ argv: ['a'], stdin: false, tty: { cols: 80, rows: 24, term: '../x' } })).rejects.toThrow();
    await expect(openExec({ argv: ['a'], stdin: false, uid: 0, session: createId<SessionId>() })).rejects.toThrow();
  });
});
