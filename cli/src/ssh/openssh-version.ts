import { execFile } from 'node:child_process';
import { TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';

/** Time for `ssh -V`, milliseconds. */
const ANSWER_MS = 5_000;
/** The first OpenSSH that includes files. */
const LEAST = Object.freeze({ major: 7, minor: 3 });

/** Refuses an OpenSSH that could not read what is about to be written; says so when there is none. @throws TowlineError `unavailable`. */
export async function checkOpenSsh({ host, output }: Context): Promise<void> {
  const said = await sayVersion(host.env);
  const [, major, minor] = /OpenSSH\D{0,20}(\d+)\.(\d+)/.exec(said) ?? [];
  if (major === undefined || minor === undefined) return output.note('`ssh` of OpenSSH was not found on this machine');
  if (Number(major) > LEAST.major || (Number(major) === LEAST.major && Number(minor) >= LEAST.minor)) return;
  throw new TowlineError(
    'unavailable',
    `The OpenSSH of this machine is version ${major}.${minor}, and cannot include files. Nothing was written.`,
    {
      hint: `OpenSSH ${LEAST.major}.${LEAST.minor} or newer is needed.`,
    },
  );
}

function sayVersion(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  return new Promise((resolve) => {
    execFile('ssh', ['-V'], { env: { ...env } as NodeJS.ProcessEnv, timeout: ANSWER_MS }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
}
