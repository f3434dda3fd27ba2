import type { Clock, Log } from '@towline/contract';
import { printable } from '@towline/protocol';
import type { IgnoredValue } from './claimed-scopes.ts';

/** Values that were warned of and are remembered; beyond, the oldest may be warned of again. */
const MAX_REMEMBERED = 1_000;
/** Warnings within a minute. */
const MAX_PER_MINUTE = 10;
const MINUTE_MS = 60_000;

/** Makes a listener that warns once of each value of a claim that means nothing here, at a bounded rate. */
export function createIgnoredValues(log: Log, clock: Clock, issuer: string): IgnoredValue {
  const warned = new Set<string>();
  let minute = { since: clock.now(), count: 0 };
  return (claim, value) => {
    const shown = typeof value === 'string' ? printable(value).slice(0, 100) : `a value of type ${typeof value}`;
    const key = `${claim}=${shown}`;
    const now = clock.now();
    if (warned.has(key)) return;
    if (now < minute.since || now - minute.since >= MINUTE_MS) minute = { since: now, count: 0 };
    if ((minute.count += 1) > MAX_PER_MINUTE) return;
    warned.add(key);
    const oldest = warned.values().next().value;
    if (warned.size > MAX_REMEMBERED && oldest !== undefined) warned.delete(oldest);
    log.warn('A claim has a value that means nothing here; expected org:ID, org:ID:ROLE, or as a role viewer, operator or admin.', {
      issuer,
      claim,
      value: shown,
    });
  };
}
