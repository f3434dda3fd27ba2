import type { CommandIo } from './runtime-command.ts';
import { lockRuntime } from './runtime-lock.ts';
import { filesOf, type RunOptions } from './settings.ts';

/** Forgets the device's credential on this machine. @throws TowlineError `data_in_use` while a runtime uses it. */
export async function logOut(options: RunOptions, io: CommandIo): Promise<void> {
  const files = filesOf(io.env, options.profile);
  await using _lock = await lockRuntime(files.dir);
  const [apiKey, enrolment] = [await files.apiKey(), await files.enrolment()];
  if (apiKey === null && enrolment === null) return io.stderr('This device is not enrolled anywhere.\n');
  await files.forgetEnrolment();
  const relay = enrolment?.url ?? 'the relay';
  io.stderr(
    `The credential of this device was removed from this machine. ${relay} still lists the device;\n` +
      'an admin removes it there with `towline devices remove`.\n',
  );
}
