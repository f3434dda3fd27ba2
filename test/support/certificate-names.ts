import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TrustSettings } from '@towline/contract';
import { CREDENTIAL, type Outcome, TRANSPORTS } from './certificate-dials.ts';

const PROGRAM = fileURLToPath(new URL('certificate-names.mjs', import.meta.url));
/** A user and mount namespace of its own, in which a file stands in the place of /etc/hosts. */
const IN_PLACE_OF_HOSTS = ['-Urm', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"'];

/** Why no process can have a hosts file of its own here; null where it can. */
export function hostsFault(): string | null {
  try {
    execFileSync('unshare', [...IN_PLACE_OF_HOSTS, '/dev/null', 'true'], { stdio: 'pipe', timeout: 10_000 });
    return null;
  } catch (error) {
    return `unshare or mount does not work here: ${String((error as Error).message)
      .split('\n')
      .slice(0, 2)
      .join(' ')}`;
  }
}

/** What is dialled by name. */
export interface NamedDial {
  /** Host as it stands in the URL. */
  readonly host: string;
  readonly port: number;
  readonly trust: TrustSettings;
}

/** Dials by each transport a relay on loopback that has this name; the process that does so has a hosts file in `dir`. */
export async function attemptByName(dir: string, { host, port, trust }: NamedDial): Promise<Pick<Outcome, 'verdict' | 'message'>[]> {
  const { href: url, hostname } = new URL(`https://${host}:${port}`);
  const hosts = join(dir, 'hosts');
  writeFileSync(hosts, `127.0.0.1 ${hostname.replace(/\.$/, '')}\n`);
  const dials = TRANSPORTS.map((transport) => ({ transport, url, trust, credential: CREDENTIAL }));
  const program = [process.execPath, PROGRAM, JSON.stringify(dials)];
  const { stdout } = await promisify(execFile)('unshare', [...IN_PLACE_OF_HOSTS, hosts, ...program], { timeout: 30_000 });
  return JSON.parse(stdout) as Pick<Outcome, 'verdict' | 'message'>[];
}
