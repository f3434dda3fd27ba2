import { execFile } from 'node:child_process';
import type { Host } from '../host.ts';

/** An address of a name, or the code of the error that the system's resolver gave. */
export type LookUp = { readonly addresses: readonly string[] } | { readonly code: string };

/** Asks as sockets do: getaddrinfo(3), so that hosts files and the system's own order count. */
const PROGRAM = `require('node:dns').lookup(process.argv[1], { all: true }, (error, found) => {
  process.stdout.write(JSON.stringify(error ? { code: String(error.code) } : { addresses: found.map(({ address }) => address) }));
});`;

/**
 * Looks a name up, in a process of its own: getaddrinfo cannot be interrupted, and a process does not end while one of its
 * threads still waits for a name server that is silent. Rejects with the reason of the signal.
 */
export function lookUp(name: string, env: Host['env'], signal: AbortSignal): Promise<LookUp> {
  const { NODE_OPTIONS: _unwanted, ...rest } = env;
  return new Promise((resolve, reject) => {
    const options = { env: rest as NodeJS.ProcessEnv, signal, killSignal: 'SIGKILL', maxBuffer: 1_048_576 } as const;
    execFile(process.execPath, ['-e', PROGRAM, name], options, (error, stdout) => {
      if (error === null) resolve(JSON.parse(stdout) as LookUp);
      else reject(signal.aborted ? signal.reason : error);
    });
  });
}
