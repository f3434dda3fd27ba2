import { describe, expect, it } from 'vitest';
import { ourselves, readAll, readUntil, startOnTerminal, until } from './running.ts';

describe('a program on a terminal', () => {
  it('has a terminal of the size that was asked for', async () => {
    const pty = await startOnTerminal(['sh', '-c', 'stty size; tty >/dev/null && echo yes'], { cols: 132, rows: 43 });
    expect((await readAll(pty.outputs[0]!)).toString()).toBe('43 132\r\nyes\r\n');
    expect(await pty.exited).toEqual({ exitCode: 0, signal: null });
  });

  it('is told of a new size', async () => {
    const pty = await startOnTerminal(['bash', '-c', 'trap "stty size; exit" WINCH; echo ready; while :; do read -t 1; done']);
    await readUntil(pty.outputs[0]!, 'ready');
    pty.resize(100, 30);
    expect(await readUntil(pty.outputs[0]!, '30 100')).toContain('30 100');
  });

  it('loses no output when it exits before its reader reads', async () => {
    const pty = await startOnTerminal(['sh', '-c', 'stty -opost; seq 1 900']);
    expect(await pty.exited).toEqual({ exitCode: 0, signal: null });
    // Longer than any time limit that a terminal library puts on unread output.
    await new Promise((resolve) => setTimeout(resolve, 600));
    const expected = `${Array.from({ length: 900 }, (_, index) => index + 1).join('\n')}\n`;
    expect((await readAll(pty.outputs[0]!)).toString()).toBe(expected);
  });

  it('loses no output to a reader that pauses at every piece, however often it is tried', async () => {
    const expected = `${Array.from({ length: 50_000 }, (_, index) => index + 1).join('\n')}\n`;
    for (let round = 0; round < 10; round += 1) {
      const pty = await startOnTerminal(['sh', '-c', 'stty -opost; seq 1 50000']);
      let text = '';
      for await (const chunk of pty.outputs[0]!) {
        text += (chunk as Buffer).toString();
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(text.length).toBe(expected.length);
      expect(text === expected).toBe(true);
    }
  });

  it('takes a paste that is larger than the terminal holds, without losing a byte', async () => {
    const paste = Buffer.alloc(1_000_000, 'abcdefghijklmnopqrstuvwxyz');
    const pty = await startOnTerminal(['sh', '-c', 'stty raw -echo; echo ready; sleep 0.3; head -c 1000000 | sha256sum']);
    await readUntil(pty.outputs[0]!, 'ready');
    pty.input.write(paste);
    const { createHash } = await import('node:crypto');
    expect((await readAll(pty.outputs[0]!)).toString()).toContain(createHash('sha256').update(paste).digest('hex'));
  });

  it('stops at Ctrl-C', async () => {
    // No shell here: one that forks just now may miss the signal.
    const pty = await startOnTerminal(['tail', '-n', '1', '-f', '/etc/passwd']);
    await readUntil(pty.outputs[0]!, '\n');
    pty.input.write('\x03');
    expect(await pty.exited).toEqual({ exitCode: null, signal: 'SIGINT' });
  });

  it('reads the end of the input when the input ends, in the middle of a line too', async () => {
    const pty = await startOnTerminal(['sh', '-c', 'stty -echo; echo ready; cat; echo over']);
    await readUntil(pty.outputs[0]!, 'ready');
    pty.input.end('no line end');
    expect((await readAll(pty.outputs[0]!)).toString()).toContain('no line endover');
  });

  it('drops what is typed after it has gone', async () => {
    const pty = await startOnTerminal(['true']);
    await pty.exited;
    await readAll(pty.outputs[0]!);
    pty.input.on('error', () => {});
    pty.input.write('too late');
    pty.resize(10, 10);
    await until(() => pty.input.destroyed, 'the input is closed');
  });

  it('passes UTF-8 on both ways', async () => {
    const pty = await startOnTerminal(['sh', '-c', 'stty -echo; echo ready; read line; printf "<%s>" "$line"']);
    await readUntil(pty.outputs[0]!, 'ready');
    pty.input.write('grüße 你好 😀\n');
    expect((await readAll(pty.outputs[0]!)).toString()).toContain('<grüße 你好 😀>');
  });

  it('says that a program does not exist by exit code 127', async () => {
    const pty = await startOnTerminal(['/no/such/program']);
    expect((await readAll(pty.outputs[0]!)).toString()).toContain('/no/such/program');
    expect(await pty.exited).toEqual({ exitCode: 127, signal: null });
  });

  it('begins in the home folder', async () => {
    const pty = await startOnTerminal(['pwd']);
    expect((await readAll(pty.outputs[0]!)).toString()).toBe(`${ourselves.account.home}\r\n`);
  });
});
