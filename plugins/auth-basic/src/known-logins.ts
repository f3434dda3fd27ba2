import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '@towline/contract';

/** How long a login that was right is not verified again, milliseconds. Users change by a restart alone. */
const REMEMBER_MS = 60_000;
/** Logins that are remembered; beyond, the oldest is forgotten. */
const MAX_REMEMBERED = 1_000;

/** Logins that were found to be right a moment ago, so that not every request computes a hash. */
export interface KnownLogins {
  /** A name for user and password by which neither can be found out. */
  tagOf(username: string, password: string): string;
  has(tag: string): boolean;
  add(tag: string): void;
}

/** Makes the memory. It holds no password: tags are HMACs by a key that lives in this process alone. */
export function createKnownLogins(clock: Clock): KnownLogins {
  const key = randomBytes(32);
  const until = new Map<string, number>();
  return {
    tagOf: (username, password) =>
      createHmac('sha256', key)
        .update(JSON.stringify([username, password]))
        .digest('base64url'),
    has(tag) {
      const end = until.get(tag);
      const now = clock.now();
      // A clock that was set back must not keep an entry for longer.
      if (end !== undefined && now < end && now >= end - REMEMBER_MS) return true;
      until.delete(tag);
      return false;
    },
    add(tag) {
      until.delete(tag);
      until.set(tag, clock.now() + REMEMBER_MS);
      const oldest = until.keys().next().value;
      if (until.size > MAX_REMEMBERED && oldest !== undefined) until.delete(oldest);
    },
  };
}
