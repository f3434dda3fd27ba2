import { listProcesses } from '@towline/process';
import { describe, expect, it } from 'vitest';
import { openShell, readUntil } from './shell-session.ts';

/** End of a prompt of bash, for root or another, with or without colours. */
const PROMPT = /[#$] (\x1b\[[0-9;?]*[a-zA-Z])*$/;
const body = { cols: 100, rows: 30, term: 'xterm-256color', lang: 'C.UTF-8' };

describe('shell', () => {
  it('is a login shell on a terminal of the size that was asked for', async () => {
    const { client } = await openShell(body);
    client.output(0).write('shopt login_shell; stty size; echo $TERM $LANG $TOWLINE_USER "["$TOWLINE_SESSION]; exit\n');
    const text = await readUntil(client.input(0), /\[[0-9a-f]{32}\]/);
    expect(text).toMatch(/login_shell\s+on\r\n30 100\r\nxterm-256color C\.UTF-8 ada@example\.com/);
    expect(text).toContain(`[${client.id}]`);
  });

  it('passes its exit code on', async () => {
    const { client } = await openShell(body);
    client.output(0).write('exit 42\n');
    client.input(0).resume();
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 42 });
  });

  it('names the signal it died of', async () => {
    const { client } = await openShell(body);
    client.output(0).write('kill -KILL $$\n');
    client.input(0).resume();
    expect(await client.result).toEqual({ reason: 'signalled', signal: 'SIGKILL' });
  });

  it('follows the size of the terminal', async () => {
    const { client } = await openShell(body);
    await client.send({ resize: { cols: 133, rows: 44 } });
    client.output(0).write('stty size\n');
    expect(await readUntil(client.input(0), /44 133/)).toContain('44 133');
  });

  it('passes Ctrl-C to the job in the foreground and lives on', async () => {
    const { client } = await openShell(body);
    await readUntil(client.input(0), PROMPT);
    client.output(0).write('tail -n 1 -f /etc/passwd\n');
    await readUntil(client.input(0), /tail[^\n]*\r\n[^\n]*:[^\n]*\r\n/);
    client.output(0).write('\x03');
    await readUntil(client.input(0), PROMPT);
    client.output(0).write('echo code $?\n');
    expect(await readUntil(client.input(0), /code 130/)).toContain('code 130');
  });

  it('passes UTF-8 both ways', async () => {
    const { client } = await openShell(body);
    await readUntil(client.input(0), PROMPT);
    client.output(0).write("printf '<%s>' 'grüße 你好 😀' \"$(printf '\\303\\274')\"\n");
    expect(await readUntil(client.input(0), /<ü>/)).toContain('<grüße 你好 😀><ü>');
  });

  it('ends like a terminal that is gone when the session is over: jobs too', async () => {
    const { client, served } = await openShell(body);
    client.output(0).write('sleep 100 & sleep 101 & jobs -p | tr "\\n" " "; echo "start"ed\n');
    const text = await readUntil(client.input(0), /started/);
    const pids = [.../(\d+) (\d+) started/.exec(text)!.slice(1)].map(Number);
    client.cancel();
    await served;
    expect(pids).toHaveLength(2);
    expect((await listProcesses()).filter(({ pid }) => pids.includes(pid))).toEqual([]);
  });

  it('takes no notice of messages that it does not know', async () => {
    const { client } = await openShell(body);
    for (const message of [{}, { resize: { cols: 1e9, rows: 1 } }, { resize: null }, { signal: 'KILL' }]) await client.send(message);
    client.output(0).write('exit\n');
    client.input(0).resume();
    expect(await client.result).toEqual({ reason: 'exited', exit_code: 0 });
  });

  it.each([
    { ...body, term: '../../etc/x' },
    { ...body, lang: '/etc/x' },
    { ...body, cols: 0 },
    { ...body, rows: 70_000 },
    { ...body, command: 'id' },
  ])('is refused when asked for as %j', async (asked) => {
    await expect(openShell(asked)).rejects.toThrow();
  });
});
