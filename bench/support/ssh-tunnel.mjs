// What people build without a product: `ssh -R` from the device and `ssh -L` from the user, through one sshd on loopback.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

const SSHD = '/usr/sbin/sshd';

/** Starts it; `local(port)` is the user's port for a port of the device. `end()` ends everything that was started. */
export async function startSshTunnel(targets) {
  const dir = mkdtempSync(join(tmpdir(), 'towline-bench-ssh-'));
  const running = [];
  const begin = (file, args) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    child.once('exit', (code) => code !== null && code > 0 && console.error(`${file} ended with ${code}: ${said}`));
    running.push(child);
    return child;
  };
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)]);
  writeFileSync(join(dir, 'authorized_keys'), execFileSync('cat', [join(dir, 'user.pub')]), { mode: 0o600 });
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(dir, 'host')}`,
    `AuthorizedKeysFile ${join(dir, 'authorized_keys')}`,
    `PidFile ${join(dir, 'pid')}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin prohibit-password',
    'AllowTcpForwarding yes',
  ];
  writeFileSync(join(dir, 'sshd_config'), `${config.join('\n')}\n`);
  // Where sshd puts itself before anybody is known; distributions make it when they start theirs.
  if (process.getuid() === 0) mkdirSync('/run/sshd', { recursive: true });
  begin(SSHD, ['-D', '-e', '-f', join(dir, 'sshd_config')]);
  await reachable(port);
  const there = await Promise.all(targets.map(freePort));
  const here = await Promise.all(targets.map(freePort));
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=no',
    'UserKnownHostsFile=/dev/null',
    'LogLevel=ERROR',
    'ExitOnForwardFailure=yes',
  ];
  const login = ['-N', '-F', 'none', '-i', join(dir, 'user'), ...options.flatMap((option) => ['-o', option]), '-p', String(port)];
  const to = `${userInfo().username}@127.0.0.1`;
  begin('ssh', [...login, ...targets.flatMap((target, at) => ['-R', `127.0.0.1:${there[at]}:127.0.0.1:${target}`]), to]);
  for (const each of there) await reachable(each);
  begin('ssh', [...login, ...there.flatMap((far, at) => ['-L', `127.0.0.1:${here[at]}:127.0.0.1:${far}`]), to]);
  for (const each of here) await reachable(each);
  return {
    ports: here,
    end() {
      for (const child of running) child.kill('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function reachable(port) {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const socket = connect({ port, host: '127.0.0.1' });
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await new Promise((later) => setTimeout(later, 100));
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`nothing listens on port ${port}`);
}
