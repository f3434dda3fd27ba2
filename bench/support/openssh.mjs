// An OpenSSH server of our own on loopback, and tunnels through it: what people build without a product.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

const SSHD = '/usr/sbin/sshd';
/** Time for a port to accept connections, milliseconds. */
const REACH_MS = 10_000;
/** Options of every client here. */
const OPTIONS = ['BatchMode=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ExitOnForwardFailure=yes'];

/** Whether there is an OpenSSH here to compare with. */
export function hasOpenSsh() {
  return existsSync(SSHD) && existsSync('/usr/bin/ssh');
}

/** Starts a server. `options` and `host` are for ssh, scp and rsync -e; `end()` ends everything that was started. */
export async function startOpenSsh() {
  const folder = mkdtempSync(join(tmpdir(), 'towline-bench-ssh-'));
  const running = [];
  const begin = (file, args) => running.push(spawnTelling(file, args));
  const port = await freePort();
  writeConfig(folder, port);
  begin(SSHD, ['-D', '-e', '-f', join(folder, 'sshd_config')]);
  await reachable(port);
  const host = `${userInfo().username}@127.0.0.1`;
  const options = ['-F', 'none', '-i', join(folder, 'user'), ...OPTIONS.flatMap((option) => ['-o', option])];
  const forward = async (flag, targets) => {
    const ports = await Promise.all(targets.map(freePort));
    const forwards = ports.flatMap((from, at) => [flag, `127.0.0.1:${from}:127.0.0.1:${targets[at]}`]);
    begin('ssh', ['-N', ...options, '-p', String(port), ...forwards, host]);
    for (const each of ports) await reachable(each);
    return ports;
  };
  return {
    host,
    options,
    port,
    /** As a device does: answers ports of the server's side that lead to ports of the device. */
    reverse: (targets) => forward('-R', targets),
    /** The whole way to a device: `ssh -R` from the device, `ssh -L` from the user; answers the user's ports. */
    through: async (targets) => forward('-L', await forward('-R', targets)),
    end() {
      for (const child of running) child.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function writeConfig(folder, port) {
  for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  copyFileSync(join(folder, 'user.pub'), join(folder, 'authorized_keys'));
  // Where the server puts itself before anybody is known; distributions make it when they start theirs.
  if (process.getuid() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'AllowTcpForwarding yes',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(join(folder, 'sshd_config'), `${lines.join('\n')}\n`);
}

/** Starts a program that says why when it fails. */
function spawnTelling(file, args) {
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  child.once('exit', (code) => code !== null && code > 0 && console.error(`${file} ended with ${code}: ${said}`));
  return child;
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
  const until = performance.now() + REACH_MS;
  for (;;) {
    const socket = connect({ port, host: '127.0.0.1' });
    const isThere = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isThere) return;
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`);
    await new Promise((later) => setTimeout(later, 50));
  }
}
