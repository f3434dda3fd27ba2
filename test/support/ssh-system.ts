import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createSshUser, hasOpenSsh, type SshUser, startSshd, type TestSshd } from './openssh.ts';
import type { Finished, Program, ProgramOptions } from './process.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './system.ts';

/** A relay, a device with a server of OpenSSH on it, and a user who ran `towline ssh enable`. */
export interface SshSystem {
  readonly system: TestSystem;
  readonly relay: TestRelay;
  readonly device: TestDevice;
  readonly sshd: TestSshd;
  readonly user: SshUser;
  /** Runs `ssh` with the config of the user, to its end. */
  ssh(args: readonly string[], options?: ProgramOptions & { readonly deadlineMs?: number }): Promise<Finished>;
  /** Starts `ssh`, and leaves it running. */
  startSsh(args: readonly string[], options?: ProgramOptions): Program;
}

/** How it is made. */
export interface SshSystemOptions {
  /** Name of the device. */
  readonly name?: string;
  /** What the config of the user had before. */
  readonly lines?: readonly string[];
}

/** Time for a dozen programs to start on a machine that is busy, milliseconds. */
const SET_UP_MS = 180_000;

/** Makes one for all tests of a file, where OpenSSH is on this machine. Its members are there once the tests run. */
export function useSshSystem({ name = 'pi', lines = [] }: SshSystemOptions = {}): SshSystem {
  const made = {} as { system: TestSystem; relay: TestRelay; device: TestDevice; sshd: TestSshd; user: SshUser };
  beforeAll(async () => {
    if (!hasOpenSsh) return;
    made.system = createSystem();
    made.relay = await made.system.startRelay();
    made.device = await made.system.enrolDevice(made.relay, { name });
    made.sshd = await startSshd(made.system.dir);
    made.user = await createSshUser(made.relay, { home: join(made.system.dir, 'home of a user'), sshd: made.sshd, lines });
  }, SET_UP_MS);
  afterAll(async () => {
    await made.sshd?.[Symbol.asyncDispose]();
    await made.system?.[Symbol.asyncDispose]();
  });
  const withConfig = (args: readonly string[]) => ['-F', made.user.config, ...args];
  return Object.assign(made, {
    ssh: (args: readonly string[], options = {}) => made.user.run('ssh', withConfig(args), options),
    startSsh: (args: readonly string[], options = {}) => made.user.start('ssh', withConfig(args), options),
  });
}
