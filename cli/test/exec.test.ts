import { once } from 'node:events';
import { TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SeenLinks, type Serve, takeLinks } from './link-peer.ts';
import { failure, type RelayPeer, startPeer } from './relay-peer.ts';
import { collect, makeUser, USER_KEY, type User } from './run-cli.ts';

describe('sessions of a device', () => {
  let user: User;
  let peer: RelayPeer;
  let seen: SeenLinks;
  let serve: Serve;
  beforeEach(async () => {
    user = await makeUser();
    peer = await startPeer(() => failure(404, 'not_found', 'No such route.'));
    seen = takeLinks(peer, (open) => serve(open));
    // Says the words of the command, one JSON text a line.
    serve = (open) => async (end) => {
      end.session.output(0).end(`${JSON.stringify(open.body.argv)}\n`);
      await end.finish({ reason: 'exited', exit_code: 7 });
    };
  });
  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });
  const env = () => ({ TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY });
  const run = (...args: string[]) => user.run(args, { env: env() });

  it('passes words unsplit and the exit code of the command on', async () => {
    const words = ['printf', '%s', 'a b', '', "it's", '$HOME', '*', '\n', '-v', '--json', '--', '--help', '-t', 'ü'];
    expect(await run('pi', 'exec', '--', ...words)).toEqual({ code: 7, stdout: `${JSON.stringify(words)}\n`, stderr: '' });
    expect(seen.opens).toMatchObject([{ protocol: '/exec/1', device: 'pi' }]);
    expect(seen.headers[0]).toMatchObject({ 'x-api-key': USER_KEY });
    expect(seen.hellos).toMatchObject([{ type: 'hello', level: 1 }]);
  });

  it.each([
    ['options before the command are ours', ['pi', 'exec', '-i', '-v', 'ls', '-i'], ['ls', '-i']],
    ['options behind its first word are the command’s', ['pi', 'exec', 'ls', '-t', '--json', '--help'], ['ls', '-t', '--json', '--help']],
    ['a later -- is the command’s', ['pi', 'exec', 'env', '--', 'x', '-v'], ['env', '--', 'x', '-v']],
    ['the first word may look like an option', ['pi', 'exec', '--', '-t', '--', '-v'], ['-t', '--', '-v']],
    ['a device with the name of a command', ['device:login', 'exec', '--', 'true'], ['true']],
    ['the transport may be named before', ['--transport', 'tls', 'pi', '--transport', 'tls', 'exec', '--', 'true'], ['true']],
    [
      'an option of the program behind the first word is the command’s',
      ['pi', 'exec', 'ip', '--transport', 'x'],
      ['ip', '--transport', 'x'],
    ],
    ['options of the program may stand anywhere before', ['--no-color', 'pi', '-v', 'exec', '-v', '--', 'true'], ['true']],
  ])('tells its own words from those of the command: %s', async (_what, args, argv) => {
    expect(await run(...args)).toMatchObject({ code: 7, stdout: `${JSON.stringify(argv)}\n` });
  });

  it('names the device as it was typed, without the prefix', async () => {
    await run('device:login', 'exec', '--', 'true');
    expect(seen.opens[0]!.device).toBe('login');
  });

  it.each([
    ['device_offline', 'The device is offline.'],
    ['not_found', 'No such device.'],
    ['forbidden', 'Not allowed.'],
    ['stream_not_served', 'Not served here.'],
  ] as const)('fails with 255 and the reason when the opening is refused: %s', async (code, text) => {
    serve = () => new TowlineError(code, text);
    expect(await run('pi', 'exec', '--', 'true')).toMatchObject({
      code: 255,
      stdout: '',
      stderr: expect.stringContaining(`towline: ${text}\n`),
    });
    const { stderr } = await run('--json', 'pi', 'exec', '--', 'true');
    expect(JSON.parse(stderr)).toMatchObject({ error: { code, message: text } });
  });

  it('fails with 255 when the relay refuses the link', async () => {
    peer.server.removeAllListeners('upgrade');
    expect(await run('pi', 'exec', '--', 'true')).toMatchObject({
      code: 255,
      stdout: '',
      stderr: expect.stringContaining('No such route.'),
    });
  });

  it('fails with 255 when the connection breaks before the result', async () => {
    serve = () => async (end, link) => {
      end.session.output(0).write('half\n');
      await link.close('link_closed', 'The relay goes away.', 500);
    };
    const { code, stderr } = await run('pi', 'exec', '--', 'true');
    expect(code).toBe(255);
    expect(stderr).toMatch(/^towline: /);
  });

  it('keeps stdout and stderr apart and binary', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
    serve = () => async (end) => {
      end.session.output(0).end(bytes);
      end.session.output(1).end('on stderr');
      await end.finish({ reason: 'exited', exit_code: 0 });
    };
    const child = user.start(['pi', 'exec', '--', 'true'], { env: env() });
    const chunks: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    expect(stderr).toBe('on stderr');
  });

  it('passes stdin on with -i, up to its end', async () => {
    serve = () => async (end) => {
      const input: Buffer[] = [];
      for await (const chunk of end.session.input(0)) input.push(chunk as Buffer);
      end.session.output(0).end(Buffer.concat(input));
      await end.finish({ reason: 'exited', exit_code: 0 });
    };
    expect(await user.run(['pi', 'exec', '-i', '--', 'cat'], { env: env(), input: 'x\n' })).toEqual({ code: 0, stdout: 'x\n', stderr: '' });
  });

  it('gives a session up when it is told to end, and the device hears of it', async () => {
    let started = () => {};
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    const ended = new Promise<void>((resolve) => {
      serve = () => async (end) => {
        end.session.signal.addEventListener('abort', () => resolve());
        started();
      };
    });
    const child = user.start(['pi', 'exec', '--', 'sleep', '100'], { env: env() });
    const outcome = collect(child);
    await running;
    child.kill('SIGTERM');
    await ended;
    expect((await outcome).code).toBe(143);
  });

  it('ends the command with 141, as SIGPIPE does, when nobody reads its output any more', async () => {
    const ended = new Promise<void>((resolve) => {
      serve = () => async (end) => {
        end.session.signal.addEventListener('abort', () => resolve());
        const output = end.session.output(0);
        const more = () => {
          while (!output.destroyed && output.write('y\n'.repeat(10_000)));
        };
        output.on('drain', more);
        more();
      };
    });
    const child = user.start(['pi', 'exec', '--', 'yes'], { env: env() });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await once(child, 'close')).toEqual([141, null]);
    await ended;
    expect(stderr).toBe('');
  });

  it('opens no shell without a terminal', async () => {
    expect(await run('pi', 'shell')).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('terminal') });
    expect(seen.opens).toEqual([]);
  });
});
