// An OpenSSH server of our own on loopback, and a reverse tunnel through it: what people build without a product.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';

const SSHD = '/usr/sbin/sshd';
/** Time for a port to answer, milliseconds. */
const ANSWER_MS = 10_000;

/** Whether there is an OpenSSH here to compare with. */
export function hasOpenSsh() {
  return existsSync(SSHD) && existsSync('/usr/bin/ssh');
}

/** Starts it in a folder. `args` are for ssh, scp (with -P) and rsync -e; `tunnelPort` leads to the server by a reverse tunnel through itself. */
export async function startOpenSsh(folder) {
  mkdirSync(folder, { recursive: true });
  const [port, tunnelPort] = [await freePort(), await freePort()];
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  execFileSync('cp', [join(folder, 'user.pub'), join(folder, 'authorized_keys')]);
  if (process.getuid() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const config = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: join(folder, 'host'),
    AuthorizedKeysFile: join(folder, 'authorized_keys'),
    StrictModes: 'no',
    UsePAM: 'no',
    PasswordAuthentication: 'no',
    PermitRootLogin: 'yes',
    PidFile: 'none',
    Subsystem: 'sftp internal-sftp',
  };
  const text = Object.entries(config).map(([name, value]) => `${name} ${value}`);
  writeFileSync(join(folder, 'sshd_config'), `${text.join('\n')}\n`);
  const options = [
    '-i',
    join(folder, 'user'),
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
  ];
  const running = [spawn(SSHD, ['-D', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'inherit'] })];
  await answers(port);
  const host = `${userInfo().username}@127.0.0.1`;
  const reverse = ['-N', '-R', `127.0.0.1:${tunnelPort}:127.0.0.1:${port}`, '-p', String(port), ...options, host];
  running.push(spawn('ssh', reverse, { stdio: ['ignore', 'ignore', 'inherit'] }));
  await answers(tunnelPort);
  return {
    host,
    options,
    port,
    tunnelPort,
    end() {
      for (const child of running) child.kill('SIGTERM');
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

async function answers(port) {
  const until = performance.now() + ANSWER_MS;
  for (;;) {
    const socket = connect({ port, host: '127.0.0.1' });
    const said = await Promise.race([
      once(socket, 'data').then(() => true),
      once(socket, 'error').then(() => false),
      once(socket, 'close').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (said) return;
    if (performance.now() > until) throw new Error(`nothing answers on port ${port}`);
    await new Promise((later) => setTimeout(later, 50));
  }
}
