import { scryptSync } from 'node:crypto';
import type { Credential, Log } from '@towline/contract';
import { plugin } from '../src/index.ts';

/** A password that passes. */
export const PASSWORD = 'kettle-orbit-39-salmon';

/** A hash of the least cost that is accepted, so that tests are quick. Made without our own code. */
export function cheapHash(password: string): string {
  const salt = Buffer.alloc(16, 7);
  const key = scryptSync(password, salt, 32, { N: 2 ** 14, r: 8, p: 1 });
  return `scrypt$16384$8$1$${salt.toString('base64url')}$${key.toString('base64url')}`;
}

/** What the options of an entry become, or what is wrong with them. */
export async function checkOptions(options: unknown): Promise<{ readonly value?: unknown; readonly faults: readonly string[] }> {
  const result = await plugin.options['~standard'].validate(options);
  if (result.issues === undefined) return { value: result.value, faults: [] };
  return { faults: result.issues.map(({ message, path }) => `${(path ?? []).join('.')}: ${message}`) };
}

/** A started provider with these options, its log, and a clock that can be turned. */
export async function openProvider(options: unknown) {
  const { value, faults } = await checkOptions(options);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  const clock = { time: 1_700_000_000_000, now: () => clock.time };
  const lines: string[] = [];
  const keep = (message: string, fields?: unknown) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  // The kernel hands every part to a plugin; this one has asked for none beyond these.
  const provider = plugin.create(value, { log, clock } as unknown as Parameters<typeof plugin.create>[1]);
  await provider.start?.(AbortSignal.timeout(30_000));
  const ask = (credential: Credential, signal = AbortSignal.timeout(30_000)) => provider.authenticate(credential, signal);
  const login = (username: string, password: string) => ask({ scheme: 'basic', username, password });
  return { provider, clock, lines, ask, login };
}
