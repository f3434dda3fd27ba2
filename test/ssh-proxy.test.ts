import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort, hasOpenSsh } from './support/openssh.ts';
import { bin, type Program } from './support/process.ts';
import { endRelay, restartRelay } from './support/relay-process.ts';
import { useSshSystem } from './support/ssh-system.ts';
import { eventually, type TestRelay } from './support/system.ts';

/** Each test starts several programs, on a machine that may be busy. */
const TEST_MS = 180_000;

const own = useSshSystem();
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server on this machine, which is the device as well. */
function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => onConnection(socket.on('error', () => {})));
  servers.push(server);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)));
}

const proxy = (port: number, ...more: string[]) => {
  const program = own.user.start(bin('towline'), ['ssh', 'proxy', ...more, 'pi', String(port)], { stdin: 'pipe' });
  // What was written to a program that has ended is of no interest.
  program.child.stdin!.on('error', () => {});
  return program;
};
const echo = () => listen((socket) => socket.pipe(socket));
const openForwards = async (device = 'pi') =>
  (JSON.parse(await own.user.towline([device, 'sessions', '--json'])) as { items: unknown[] }).items.length;
/** What a failing `ssh` says before OpenSSH's own words: one line of ours. */
const ownLines = (stderr: string) => stderr.split(/\r?\n/).filter((line) => line.startsWith('towline: '));

describe.skipIf(!hasOpenSsh)('towline ssh proxy (needs OpenSSH)', { timeout: TEST_MS }, () => {
  it('passes the end of stdin on, and the answer to it back', async () => {
    const port = await listen((socket) => {
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('end', () => socket.end(`${bytes} bytes`));
    });
    const program = proxy(port);
    program.child.stdin!.end(Buffer.alloc(300_000));
    expect(await program.finished).toMatchObject({ code: 0, stdout: '300000 bytes', stderr: '' });
  });

  it('ends when the other side ends, with everything it sent, while stdin is open', async () => {
    const program = proxy(await listen((socket) => void socket.end(Buffer.alloc(3_000_000, 'x'))));
    const { code, stdout } = await program.finished;
    expect({ code, length: stdout.length }).toEqual({ code: 0, length: 3_000_000 });
  });

  it('reaches a host behind the device when it is told which', async () => {
    const program = proxy(await echo(), '--to', 'localhost');
    program.child.stdin!.end('through');
    expect(await program.finished).toMatchObject({ code: 0, stdout: 'through' });
  });

  it('says in one line, with exit code 1, that the other side broke the connection', async () => {
    const program = proxy(await listen((socket) => void socket.once('data', () => socket.resetAndDestroy())));
    program.child.stdin!.write('x');
    const { code, stderr } = await program.finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^towline: The target broke the connection\. [^\n]*\n$/);
  });

  it('holds little of what a slow reader does not take', async () => {
    const bytes = 96 * 1024 ** 2;
    const port = await listen((socket) => {
      let left = bytes;
      const chunk = Buffer.alloc(65_536);
      const more = () => {
        while (left > 0) {
          left -= chunk.length;
          if (!socket.write(chunk)) return void socket.once('drain', more);
        }
        socket.end();
      };
      more();
    });
    const program = own.user.start(bin('towline'), ['ssh', 'proxy', 'pi', String(port)], { stdin: 'pipe', ownStdout: true });
    const output = program.child.stdout!;
    let received = 0;
    let most = 0;
    for (let pause = 0; pause < 40; pause += 1) {
      await new Promise((later) => setTimeout(later, 25));
      received += (output.read() as Buffer | null)?.length ?? 0;
      if (pause === 5) most = residentMiB(program.pid);
    }
    const grown = residentMiB(program.pid) - most;
    output.on('data', (chunk: Buffer) => (received += chunk.length));
    expect((await program.finished).code, program.stderr).toBe(0);
    expect(received).toBe(bytes);
    expect(grown).toBeLessThan(48);
  });

  it('takes no more from stdin than a slow target takes', async () => {
    const bytes = 96 * 1024 ** 2;
    let taken = 0;
    let arrive = (_socket: Socket) => {};
    const connected = new Promise<Socket>((resolve) => {
      arrive = resolve;
    });
    const port = await listen((socket) => arrive(socket.on('end', () => socket.end(String(taken)))));
    const program = proxy(port);
    const stdin = program.child.stdin!;
    let given = 0;
    const give = () => {
      while (given < bytes) {
        given += 65_536;
        if (!stdin.write(Buffer.alloc(65_536))) return void stdin.once('drain', give);
      }
      stdin.end();
    };
    give();
    const socket = await connected;
    let before = -1;
    // Until nothing more fits on the way.
    while (before !== given) {
      before = given;
      await new Promise((later) => setTimeout(later, 1_000));
    }
    expect(given).toBeLessThan(bytes / 2);
    socket.on('data', (chunk: Buffer) => (taken += chunk.length));
    expect(await program.finished).toMatchObject({ code: 0, stdout: String(bytes) });
  });

  it('leaves Ctrl-C, Ctrl-Z and a hang-up to whoever uses it, and ends by SIGTERM', async () => {
    const program = proxy(await echo());
    const answered = async (text: string) => {
      program.child.stdin!.write(text);
      await program.saw(new RegExp(text));
    };
    await answered('first');
    for (const signal of ['SIGINT', 'SIGINT', 'SIGHUP', 'SIGTSTP'] as const) program.child.kill(signal);
    await answered('second');
    program.child.kill('SIGTERM');
    expect(await program.finished).toMatchObject({ code: 130, stdout: 'firstsecond' });
  });

  it('leaves no session behind when ssh is killed', async () => {
    await eventually(async () => (await openForwards()) === 0, 'no session is open');
    const client = own.startSsh(['pi.towline', 'echo begun; sleep 300']);
    await client.saw(/begun/);
    expect(await openForwards()).toBe(1);
    client.child.kill('SIGKILL');
    await eventually(async () => (await openForwards()) === 0, 'its session has ended');
  });
});

describe.skipIf(!hasOpenSsh)('why ssh DEVICE.towline fails (needs OpenSSH)', { timeout: TEST_MS }, () => {
  /** Runs ssh on a host, as a user with other variables or options. */
  const fails = async (host: string, options: readonly string[] = [], env: Record<string, string> = {}) => {
    const { code, stderr } = await own.ssh([...options, host, 'true'], { env });
    expect(code).toBe(255);
    const lines = ownLines(stderr);
    expect(lines, stderr).toHaveLength(1);
    return lines[0]!;
  };

  it('is told in one line when there is no such device', async () => {
    expect(await fails('nothing.towline')).toMatch(/^towline: No device “nothing”, or it is not yours to see\. .*devices list/);
  });

  it('is told in one line when the name fits several devices but for its case', async () => {
    await using _first = await own.system.enrolDevice(own.relay, { name: 'Box', args: ['--transport', 'tls'] });
    await using _second = await own.system.enrolDevice(own.relay, { name: 'boX', args: ['--transport', 'tls'] });
    expect(await fails('box.towline')).toMatch(/“box” fits several devices: .*boX.* use the id/);
  });

  it('is told in one line when nothing listens there', async () => {
    expect(await fails('pi.towline', ['-p', String(await freePort())])).toMatch(
      /Nothing listens on port \d+ of “pi”\. Start the SSH server/,
    );
  });

  it('is told in one line when nobody is logged in', async () => {
    const home = join(own.system.dir, 'nobody');
    mkdirSync(home, { recursive: true });
    expect(await fails('pi.towline', [], { HOME: home, TOWLINE_RELAY: own.relay.url })).toMatch(/Not logged in to .*towline login/);
    expect(await fails('pi.towline', [], { HOME: home })).toMatch(/No relay is set\. .*towline login/);
  });

  it('is told in one line when the relay is not there', async () => {
    const env = { TOWLINE_RELAY: `https://127.0.0.1:${await freePort()}`, TOWLINE_API_KEY: own.relay.adminKey };
    expect(await fails('pi.towline', [], env)).toMatch(/^towline: 127\.0\.0\.1 refuses connections on port \d+\. /);
  });

  it('is told in one line when a key may not open forwards', async () => {
    const key = (await own.system.rescue(own.relay, ['keys', 'create', '--admin', '--stream', 'exec', '--json'])).stdout;
    const env = { TOWLINE_API_KEY: (JSON.parse(key) as { key: string }).key };
    expect(await fails('pi.towline', [], env)).toContain('forward');
  });

  it.each([
    ['does not allow the port', 'strict', 'allow: ["localhost:1"]\n', 'not allow'],
    ['serves no forwards', 'bare', 'streams: [exec]\n', 'does not serve /forward/1'],
  ])('is told in one line when the device %s', async (_what, name, settings, text) => {
    const folder = join(own.system.dir, `device-${name}`);
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'device.yaml'), settings, { mode: 0o600 });
    await using _device = await own.system.enrolDevice(own.relay, { name });
    expect(await fails(`${name}.towline`)).toContain(text);
  });

  it('is told in one line when the device is offline, and when it goes away meanwhile', async () => {
    // Over TLS the end of a killed runtime is seen at once.
    await using device = await own.system.enrolDevice(own.relay, { name: 'gone', args: ['--transport', 'tls'] });
    const client = own.startSsh(['gone.towline', 'echo begun; sleep 300']);
    await client.saw(/begun/);
    device.program.child.kill('SIGKILL');
    const { code, stderr } = await client.finished;
    expect(code).toBe(255);
    expect(ownLines(stderr), stderr).toEqual([expect.stringMatching(/lost|broke|closed/)]);
    expect(await fails('gone.towline')).toMatch(/^towline: .*offline/);
  });

  it('is told as JSON to programs that ask for it', async () => {
    const { code, stdout, stderr } = await own.user.run(bin('towline'), ['ssh', 'proxy', 'nothing', '22', '--json'], { stdin: '' });
    expect({ code, stdout, error: (JSON.parse(stderr) as { error: unknown }).error }).toMatchObject({
      code: 4,
      stdout: '',
      error: { code: 'not_found' },
    });
  });

  it.each([
    ['no port', ['pi', 'ssh'], /no port/],
    ['a port that is none', ['pi', '65536'], /no port/],
    ['no device', ['.towline', '22'], /No device is named/],
    ['one word', ['pi'], /missing|argument/i],
  ])('is a wrong use with %s', async (_what, words, text) => {
    const { code, stderr } = await own.user.run(bin('towline'), ['ssh', 'proxy', ...words], { stdin: '' });
    expect(code).toBe(2);
    expect(stderr).toMatch(text);
  });
});

describe.skipIf(!hasOpenSsh)('ssh DEVICE.towline and a relay that is started again (needs OpenSSH)', { timeout: TEST_MS }, () => {
  it('ends with the reason, and works again once the device is back', async () => {
    const client: Program = own.startSsh(['pi.towline', 'echo begun; sleep 300']);
    await client.saw(/begun/);
    await endRelay(own.relay, 'SIGTERM');
    const { code, stderr } = await client.finished;
    expect(code).toBe(255);
    expect(ownLines(stderr), stderr).toEqual([expect.stringContaining('The relay is stopping.')]);
    await using _relay: TestRelay = await restartRelay(own.relay);
    await own.device.event('offline');
    await eventually(async () => (await own.ssh(['pi.towline', 'true'])).code === 0, 'it works again');
  });
});

function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
