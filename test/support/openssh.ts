import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { bin, cleanEnvironment, type Finished, type Program, type ProgramOptions, runProgram, STEP_MS, startProgram } from './process.ts';
import type { TestRelay } from './system.ts';

/** The path of a program of this machine, also one for administrators; null when it is not here. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

/** Whether client and server of OpenSSH are on this machine. */
export const hasOpenSsh = ['ssh', 'sshd', 'ssh-keygen', 'scp', 'sftp'].every((name) => findProgram(name) !== null);

/** A real server of OpenSSH on a loopback port, with keys and config of its own, for whoever runs the test. */
export interface TestSshd extends AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  /** Private key that it lets in. */
  readonly userKey: string;
  /** Home folder of its sessions. */
  readonly home: string;
}

/** Starts it. `lines` are added to its config. */
export async function startSshd(dir: string, lines: readonly string[] = []): Promise<TestSshd> {
  const folder = join(dir, 'sshd');
  const home = join(folder, 'home');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  // What this makes is made by the service of the system otherwise.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const [hostKey, userKey] = [join(folder, 'host_key'), join(folder, 'user_key')];
  for (const key of [hostKey, userKey]) await mustRun('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  writeFileSync(join(folder, 'authorized_keys'), readFileSync(`${userKey}.pub`), { mode: 0o600 });
  const port = await freePort();
  const config = join(folder, 'sshd_config');
  writeFileSync(config, `${[...serverLines(folder, port), ...lines].join('\n')}\n`);
  const program = startProgram(findProgram('sshd') ?? 'sshd', ['-D', '-e', '-f', config]);
  await program.saw(/Server listening on 127\.0\.0\.1 port/, 'stderr');
  return { program, port, userKey, home, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

function serverLines(folder: string, port: number): string[] {
  return [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host_key')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    // The folder of the test is below that for temporary files, which everybody can write to.
    'StrictModes no',
    'PidFile none',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'MaxStartups 100',
    'MaxSessions 50',
    'PrintMotd no',
    'UseDNS no',
    'LogLevel VERBOSE',
    'Subsystem sftp internal-sftp',
    // What the user of this machine has at home would run in every session.
    `SetEnv HOME=${join(folder, 'home')} PS1="ready> "`,
  ];
}

/** A user with a home of their own: logged in to the relay, with a config of OpenSSH that knows the key and port of the server. */
export interface SshUser {
  readonly home: string;
  /** Config of OpenSSH, for `-F`. */
  readonly config: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a program of OpenSSH, or one that uses it, to its end. */
  run(name: string, args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Starts one, and leaves it running. */
  start(name: string, args: readonly string[], options?: ProgramOptions): Program;
  /** Runs `towline`. @throws Error when it fails. */
  towline(args: readonly string[], stdin?: string): Promise<string>;
}

type RunOptions = ProgramOptions & { readonly deadlineMs?: number };

/** Makes a user, logs in, and runs `towline ssh enable`, as somebody would. `lines` are what the config had before. */
export async function createSshUser(
  relay: TestRelay,
  { home, sshd, lines = [] }: { readonly home: string; readonly sshd: TestSshd; readonly lines?: readonly string[] },
): Promise<SshUser> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  // `ssh -J` does not quote the path of its config.
  const folder = join(dirname(home), 'ssh');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = join(folder, 'config');
  writeFileSync(config, `${[...lines, ...clientLines(folder, sshd)].join('\n')}\n`, { mode: 0o600 });
  const env = { HOME: home, LANG: 'C.UTF-8', SHELL: '/bin/sh' };
  const given = (options: ProgramOptions = {}) => ({ ...options, env: { ...userEnvironment(), ...env, ...options.env } });
  const user: SshUser = {
    home,
    config,
    env,
    run: (name, args, options) => runProgram(name, args, { deadlineMs: STEP_MS * 3, ...given(options) }),
    start: (name, args, options) => startProgram(name, args, given(options)),
    towline: async (args, stdin) => (await mustRun(bin('towline'), args, given(stdin === undefined ? {} : { stdin }))).stdout,
  };
  await user.towline(['login', '--relay', relay.url, '--fingerprint', relay.fingerprint, '--api-key', '-'], relay.adminKey);
  await user.towline(['ssh', 'enable', '--file', config]);
  return user;
}

function clientLines(folder: string, sshd: TestSshd): string[] {
  return [
    'Host *',
    `  Port ${sshd.port}`,
    `  IdentityFile "${sshd.userKey}"`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  UserKnownHostsFile "${join(folder, 'known_hosts')}"`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking accept-new',
    '  BatchMode yes',
  ];
}

/** XDG folders of the machine would lead away from the home of the test. */
function userEnvironment(): Record<string, string | undefined> {
  return { ...cleanEnvironment(), XDG_CONFIG_HOME: undefined, SSH_AUTH_SOCK: undefined };
}

async function mustRun(file: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const finished = await runProgram(file, args, options);
  if (finished.code !== 0) throw new Error(`${file} ${args.join(' ')}: ${finished.code}\n${finished.stdout}${finished.stderr}`);
  return finished;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A port that nobody has at this moment: sshd takes no 0. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
