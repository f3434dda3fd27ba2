import { createLog, startRelay } from '@towline/kernel';
import { DISTRIBUTION_SOURCE, readConfig } from '../location.ts';
import type { LocationOptions } from '../program.ts';

/** Options of `start`. */
interface StartOptions extends LocationOptions {
  readonly host?: string;
  readonly port?: number;
}

/** `towline-relay start`: runs until SIGTERM or SIGINT. Prints one line on stdout when it serves. */
export async function startCommand({ host, port, ...location }: StartOptions): Promise<void> {
  const config = readConfig(location, { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) });
  const log = createLog({ level: config.logLevel });
  const ending = new AbortController();
  const ended = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        ending.abort();
        resolve(signal);
      });
    }
  });
  const relay = await startRelay({ config, distribution: DISTRIBUTION_SOURCE, clock: { now: Date.now }, log, signal: ending.signal });
  process.on('SIGHUP', () => void relay.reload());
  if (relay.adminKeyFile !== null) log.info(`the API key of a platform admin is in ${relay.adminKeyFile}`, { file: relay.adminKeyFile });
  process.stdout.write(`ready url=${relay.url}${relay.fingerprint === null ? '' : ` fingerprint=${relay.fingerprint}`}\n`);
  const lost = new Promise<string>((resolve) => relay.lost.addEventListener('abort', () => resolve('lost lock'), { once: true }));
  const reason = await Promise.race([ended, lost]);
  log.info('the relay stops', { reason });
  const faults = await relay.stop();
  for (const fault of faults) log.error('a part did not stop cleanly', { code: fault.code, error: fault });
  process.exit(faults.length === 0 && !relay.lost.aborted ? 0 : 1);
}
