import type { AuditEvent, Clock, Log, TowlineError } from '@towline/contract';
import { TokenBucket } from '@towline/link';
import { ERRORS } from '@towline/protocol';
import { NOBODY } from '../access/actor.ts';

/** Refusals of one address that are recorded in a second, averaged over a minute: strangers must not fill the trail. */
const PER_SECOND = 0.2;
const BURST_SECONDS = 60;
/** Addresses that are told apart; beyond that all others share one account. */
const MAX_ADDRESSES = 10_000;
/** Time after which all accounts are begun anew, milliseconds: every bucket is full again by then. */
const FORGET_EVERY_MS = 600_000;

interface Account {
  readonly bucket: TokenBucket;
  omitted: number;
}

/** Records credentials that were presented and refused. */
export type RefusedCredentials = (address: string, error: TowlineError) => void;

/** Makes the recorder. What an address causes beyond its share is counted and told with its next record. */
export function recordRefusedCredentials(parts: {
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}): RefusedCredentials {
  let accounts = new Map<string, Account>();
  let begunMs = performance.now();
  const accountOf = (address: string): Account => {
    const nowMs = performance.now();
    if (nowMs - begunMs > FORGET_EVERY_MS) {
      accounts = new Map();
      begunMs = nowMs;
    }
    const name = accounts.has(address) || accounts.size < MAX_ADDRESSES ? address : 'others';
    const account = accounts.get(name) ?? { bucket: new TokenBucket(PER_SECOND, BURST_SECONDS, nowMs), omitted: 0 };
    accounts.set(name, account);
    return account;
  };
  return (address, error) => {
    // What could not be judged was not refused.
    if (ERRORS[error.code].status >= 500) return;
    const account = accountOf(address);
    if (!account.bucket.take(performance.now())) {
      account.omitted += 1;
      return;
    }
    const detail = account.omitted === 0 ? {} : { detail: { omitted_before: account.omitted } };
    account.omitted = 0;
    const event: AuditEvent = {
      at: parts.clock.now(),
      action: 'auth.refused',
      actor: NOBODY,
      address,
      outcome: 'refused',
      reason: error.code,
      ...detail,
    };
    parts.audit(event).catch((cause: unknown) => parts.log.error('a refused credential could not be recorded', { address, error: cause }));
  };
}
