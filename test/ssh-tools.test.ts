import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findProgram, freePort, hasOpenSsh } from './support/openssh.ts';
import { useSshSystem } from './support/ssh-system.ts';
import { eventually } from './support/system.ts';

/** Each test starts several programs, on a machine that may be busy. */
const TEST_MS = 180_000;

const own = useSshSystem();
const hasRsync = findProgram('rsync') !== null;
const hasCurl = findProgram('curl') !== null;
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const openSessions = async () => (JSON.parse(await own.user.towline(['pi', 'sessions', '--json'])) as { items: unknown[] }).items.length;

/** Makes a folder of that name in the home of the test. */
function folder(name: string): string {
  const path = join(own.user.home, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function file(path: string, bytes: number): string {
  writeFileSync(path, randomBytes(bytes));
  return path;
}

/** Runs a program, which must succeed. */
async function must(name: string, args: readonly string[], options = {}): Promise<string> {
  const { code, stdout, stderr } = await own.user.run(name, args, options);
  expect(code, `${name}: ${stderr}`).toBe(0);
  return stdout;
}

/** A server on this machine that greets whoever connects. */
function greeter(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).end('hello'));
  servers.push(server);
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)));
}

/** What a port of this machine says; null when nobody listens there yet. */
function said(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => parts.push(chunk));
    socket.once('end', () => resolve(Buffer.concat(parts).toString()));
    socket.once('error', () => resolve(null));
  });
}

const greets = (port: number) => eventually(async () => (await said(port)) === 'hello', `port ${port} leads to the greeter`);

describe.skipIf(!hasOpenSsh)('tools on OpenSSH, through DEVICE.towline (need OpenSSH)', { timeout: TEST_MS }, () => {
  it.each([[[]], [['-O']]])('scp %j copies both ways, trees too', async (options) => {
    const [here, there] = [folder(`scp${options.length} here`), folder(`scp${options.length}`)];
    file(join(here, 'large'), 5_000_000);
    mkdirSync(join(here, 'in'), { recursive: true });
    writeFileSync(join(here, 'in', 'empty'), '');
    // The older protocol has a shell of the device split the name.
    const remote = (path: string) => `pi.towline:${options.length === 0 ? path : path.replaceAll(' ', '\\ ')}`;
    await must('scp', ['-F', own.user.config, ...options, '-qr', here, remote(`${there}/up`)]);
    expect(digest(join(there, 'up', 'large'))).toBe(digest(join(here, 'large')));
    await must('scp', ['-F', own.user.config, ...options, '-qr', remote(`${there}/up`), join(here, 'down')]);
    expect(digest(join(here, 'down', 'large'))).toBe(digest(join(here, 'large')));
    expect(readFileSync(join(here, 'down', 'in', 'empty'))).toHaveLength(0);
  });

  it('sftp carries out a batch, and fails with it', async () => {
    const there = folder('sftp');
    const source = file(join(own.user.home, 'sftp-source'), 1_000_000);
    const batch = [`cd "${there}"`, 'mkdir a', `put "${source}" a/b`, 'rename a/b a/c', `get a/c "${source}.back"`, 'ls -l a'];
    const shown = await must('sftp', ['-F', own.user.config, '-b', '-', 'pi.towline'], { stdin: `${batch.join('\n')}\n` });
    expect(shown).toMatch(/1000000 .*a\/c/);
    expect(digest(`${source}.back`)).toBe(digest(source));
    const failed = await own.user.run('sftp', ['-F', own.user.config, '-b', '-', 'pi.towline'], { stdin: 'rm /no/such/file\n' });
    expect(failed.code).toBe(1);
  });

  it.skipIf(!hasRsync)('rsync brings a tree over and back, and then only what changed (needs rsync)', async () => {
    const [here, there] = [folder('rsync here'), folder('rsync there')];
    for (let each = 0; each < 200; each += 1) file(join(here, `file ${each}`), 1_000);
    const shell = ['-e', `ssh -F '${own.user.config}'`, '-s'];
    await must('rsync', ['-a', ...shell, `${here}/`, `pi.towline:${there}/`]);
    file(join(there, 'file 7'), 1_001);
    const changed = await must('rsync', ['-ai', ...shell, `pi.towline:${there}/`, `${here}/`]);
    expect(
      changed
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('>f')),
    ).toHaveLength(1);
    expect(digest(join(here, 'file 7'))).toBe(digest(join(there, 'file 7')));
    expect(digest(join(here, 'file 199'))).toBe(digest(join(there, 'file 199')));
  });

  it('-L, -R and -W join ports of both sides', async () => {
    const [target, local] = [await greeter(), await freePort()];
    await using client = own.startSsh(['-N', '-L', `${local}:127.0.0.1:${target}`, '-R', `0:127.0.0.1:${target}`, 'pi.towline']);
    const [, remote] = await client.saw(/Allocated port (\d+) for remote forward/, 'stderr');
    await greets(local);
    await greets(Number(remote));
    expect((await own.ssh(['-W', `127.0.0.1:${target}`, 'pi.towline'])).stdout).toBe('hello');
  });

  it.skipIf(!hasCurl)('-D is a SOCKS proxy that goes out from the device (needs curl)', async () => {
    const [target, local] = [await greeter(), await freePort()];
    await using _client = own.startSsh(['-N', '-D', String(local), 'pi.towline']);
    const fetched = () =>
      own.user.run('curl', ['-s', '--http0.9', '--socks5-hostname', `127.0.0.1:${local}`, `http://localhost:${target}/`]);
    await eventually(async () => (await fetched()).stdout === 'hello', 'the proxy leads to the greeter');
  });

  it('-J goes on through the device to a host behind it', async () => {
    const { code, stdout, stderr } = await own.ssh(['-J', 'pi.towline', '127.0.0.1', 'echo through; exit 4']);
    expect({ code, stdout }, stderr).toEqual({ code: 4, stdout: 'through\n' });
  });

  it('ControlMaster carries many sessions on one connection', async () => {
    await eventually(async () => (await openSessions()) === 0, 'no session is open');
    const path = join(own.system.dir, 'control');
    await using master = own.startSsh(['-M', '-S', path, '-N', 'pi.towline']);
    await eventually(async () => (await own.ssh(['-S', path, '-O', 'check', 'pi.towline'])).code === 0, 'the master is ready');
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, each) =>
        own.ssh(['-S', path, 'pi.towline', `cat; exit ${each}`], { stdin: `${each}`.repeat(100_000) }),
      ),
    );
    expect(results.map(({ code }) => code)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const [each, { stdout }] of results.entries()) expect(stdout === `${each}`.repeat(100_000)).toBe(true);
    expect(await openSessions()).toBe(1);
    expect((await own.ssh(['-S', path, '-O', 'exit', 'pi.towline'])).code).toBe(0);
    await master.finished;
    await eventually(async () => (await openSessions()) === 0, 'its session has ended');
  });

  it('ControlPersist leaves a connection for those that come later', async () => {
    const options = ['-o', 'ControlMaster=auto', '-o', `ControlPath=${join(own.system.dir, 'persist')}`, '-o', 'ControlPersist=60'];
    try {
      expect((await own.ssh([...options, 'pi.towline', 'echo first'])).stdout).toBe('first\n');
      expect(await openSessions()).toBe(1);
      expect((await own.ssh([...options, 'pi.towline', 'echo second'])).stdout).toBe('second\n');
      expect(await openSessions()).toBe(1);
    } finally {
      await own.ssh([...options, '-O', 'exit', 'pi.towline']);
    }
    await eventually(async () => (await openSessions()) === 0, 'its session has ended');
  });
});

/**
 * What remote editors do: a shell without a terminal beside a SOCKS proxy, to which a script is given by stdin that looks at the machine,
 * unpacks a server that was copied there, starts it in the background, and says on which port it listens.
 */
describe.skipIf(!hasOpenSsh || !hasCurl)(
  'the way in which a remote editor sets itself up (needs OpenSSH and curl)',
  { timeout: TEST_MS },
  () => {
    it('works by scripts on stdin, a proxy beside them, and a server that stays for the next time', async () => {
      const [packed, remote] = [folder('editor'), join(own.user.home, 'editor-server')];
      writeFileSync(join(packed, 'server.mjs'), SERVER);
      await must('tar', ['-C', packed, '-czf', join(own.user.home, 'server.tar.gz'), 'server.mjs']);
      const pid = join(remote, 'pid');
      try {
        const first = await connectEditor(remote);
        expect(first.says).toMatch(/^platform==Linux==[\s\S]*installed==yes==/m);
        expect(await first.get('/first')).toBe('GET /first');
        await first.end();
        // The network was away: another connection finds the same server.
        const second = await connectEditor(remote);
        expect(second.says).toMatch(/installed==no==/);
        expect(second.port).toBe(first.port);
        expect(await second.get('/second')).toBe('GET /second');
        await second.end();
      } finally {
        const text = await own.ssh(['pi.towline', `cat '${pid}'`]);
        if (/^\d+\n$/.test(text.stdout)) process.kill(Number(text.stdout));
      }
    });
  },
);

const SERVER = `
import { createServer } from 'node:http';
const server = createServer((request, response) => response.end(request.method + ' ' + request.url));
server.listen(0, '127.0.0.1', () => console.log('listening on ' + server.address().port));
`;

/** One connection of the editor: copies the server where it is missing, and starts it where it does not run. */
async function connectEditor(remote: string) {
  const socks = await freePort();
  const probe = await own.ssh(['-T', 'pi.towline', 'sh'], { stdin: `uname -s; test -f '${remote}/server.mjs' && echo there\n` });
  const isThere = probe.stdout.includes('there');
  if (!isThere) {
    const archive = readFileSync(join(own.user.home, 'server.tar.gz'));
    const copied = await own.ssh(['pi.towline', `mkdir -p '${remote}' && cat > '${remote}/server.tar.gz'`], { stdin: archive });
    expect(copied.code, copied.stderr).toBe(0);
  }
  const client = own.startSsh(['-T', '-D', String(socks), '-o', 'ConnectTimeout=15', 'pi.towline', 'sh'], { stdin: 'pipe' });
  client.child.stdin!.write(bootScript(remote));
  const [, port] = await client.saw(/listeningOn==(\d+)==/);
  return {
    port,
    says: client.stdout,
    get: async (path: string) =>
      (await must('curl', ['-sS', '--socks5-hostname', `127.0.0.1:${socks}`, `http://127.0.0.1:${port}${path}`])).trim(),
    end: async () => {
      client.child.stdin!.end();
      expect((await client.finished).code, client.stderr).toBe(0);
    },
  };
}

function bootScript(remote: string): string {
  return `
cd '${remote}' || exit 1
echo "platform==$(uname -s)==$(uname -m)=="
if [ -f server.mjs ]; then echo installed==no==; else tar -xzf server.tar.gz && echo installed==yes==; fi
if ! { [ -f pid ] && kill -0 "$(cat pid)" 2>/dev/null; }; then
  nohup '${process.execPath}' server.mjs > log 2>&1 < /dev/null &
  echo $! > pid
fi
tries=0
until grep -q 'listening on' log || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done
echo "listeningOn==$(sed -n 's/listening on //p' log)=="
cat > /dev/null
`;
}
