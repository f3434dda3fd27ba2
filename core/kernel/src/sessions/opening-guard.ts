import { TowlineError } from '@towline/contract';
import { TokenBucket } from '@towline/link';

/** Openings of one principal in a second, averaged over ten: a forward of a busy service needs 500. */
const OPENINGS_PER_SECOND = 1_000;
/** Openings of one principal that are judged at a time: the store and its audit trail serve everybody. */
const MAX_JUDGED_AT_ONCE = 64;
/** Refused openings of one principal that are recorded in a second, averaged over a minute. */
const REFUSALS_PER_SECOND = 2;
/**
 * Secrets that openings of one principal ask for in a second, averaged over ten: one of the largest costs the relay as much as opening
 * a stream does, and an opening may name fifty. A command with two of them on a hundred devices a second stays below.
 */
const SECRETS_PER_SECOND = 200;
const OPENINGS_BURST_SECONDS = 10;
const SECRETS_BURST_SECONDS = 10;
const REFUSALS_BURST_SECONDS = 60;
/** A principal that has opened nothing for so long is forgotten, milliseconds: its buckets are full again by then. */
const FORGET_AFTER_MS = 120_000;

interface Account {
  readonly openings: TokenBucket;
  readonly refusals: TokenBucket;
  readonly secrets: TokenBucket;
  judged: number;
  omitted: number;
  lastMs: number;
}

/** Keeps one principal, on however many links, from taking the relay's store away from the others. */
export interface OpeningGuard {
  /** Runs the judgement of an opening, or refuses it unjudged. @throws TowlineError `rate_limited`. */
  judge<Result>(principal: string, work: () => Promise<Result>): Promise<Result>;
  /** Counts the secrets that an opening asks for, before they are looked up. @throws TowlineError `rate_limited`. */
  admitSecrets(principal: string, count: number): void;
  /** Whether one more refusal of this principal is recorded, and how many were not since the last that was. Null: it is not. */
  admitRefusal(principal: string): { readonly omitted: number } | null;
}

/** Makes a guard. */
export function createOpeningGuard(nowMs: () => number = () => performance.now()): OpeningGuard {
  const accounts = new Map<string, Account>();
  let sweptMs = nowMs();
  const accountOf = (principal: string): Account => {
    const now = nowMs();
    if (now - sweptMs > FORGET_AFTER_MS) {
      for (const [id, account] of accounts) if (account.judged === 0 && now - account.lastMs > FORGET_AFTER_MS) accounts.delete(id);
      sweptMs = now;
    }
    const known = accounts.get(principal) ?? {
      openings: new TokenBucket(OPENINGS_PER_SECOND, OPENINGS_BURST_SECONDS, now),
      refusals: new TokenBucket(REFUSALS_PER_SECOND, REFUSALS_BURST_SECONDS, now),
      secrets: new TokenBucket(SECRETS_PER_SECOND, SECRETS_BURST_SECONDS, now),
      judged: 0,
      omitted: 0,
      lastMs: now,
    };
    known.lastMs = now;
    accounts.set(principal, known);
    return known;
  };
  return {
    async judge(principal, work) {
      const account = accountOf(principal);
      if (account.judged >= MAX_JUDGED_AT_ONCE || !account.openings.take(nowMs())) {
        throw new TowlineError('rate_limited', 'You open too many streams at once.');
      }
      account.judged += 1;
      try {
        return await work();
      } finally {
        account.judged -= 1;
      }
    },
    admitSecrets(principal, count) {
      if (count === 0 || accountOf(principal).secrets.take(nowMs(), count)) return;
      throw new TowlineError('rate_limited', 'Your sessions ask for too many secrets at once.');
    },
    admitRefusal(principal) {
      const account = accountOf(principal);
      if (!account.refusals.take(nowMs())) {
        account.omitted += 1;
        return null;
      }
      const { omitted } = account;
      account.omitted = 0;
      return { omitted };
    },
  };
}
