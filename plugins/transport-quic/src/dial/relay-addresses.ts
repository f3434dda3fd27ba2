import { lookup } from 'node:dns/promises';
import { cancellation, relayAddress } from '@towline/link';
import { TowlineError, toTowlineError } from '@towline/protocol';

/** Addresses of one name that are tried. */
const MAX_ADDRESSES = 6;
/** Head start of an address over the next, milliseconds. */
const HEAD_START_MS = 300;

/** The addresses of a relay, in the order in which they are to be tried. @throws TowlineError `relay_unreachable`. */
export async function lookUpRelay(relay: URL, signal: AbortSignal): Promise<readonly string[]> {
  const { host, isIp } = relayAddress(relay);
  if (isIp) return [host];
  try {
    const found = await abortable(lookup(host, { all: true }), signal);
    return found.map(({ address }) => address).slice(0, MAX_ADDRESSES);
  } catch (cause) {
    if (signal.aborted) throw cancellation(signal);
    const known = (cause as NodeJS.ErrnoException).code === 'ENOTFOUND';
    const text = known ? `The name ${host} is not known to DNS.` : `DNS did not answer for the name ${host}.`;
    throw new TowlineError('relay_unreachable', text, { cause });
  }
}

/** One way to a relay. */
export interface Attempt<Made> {
  /** Gives up when the signal aborts. */
  readonly make: (address: string, signal: AbortSignal) => Promise<Made>;
  /** Called for what came second. */
  readonly discard: (made: Made) => void;
}

/**
 * Tries addresses one after the other, each with a head start, and answers what the first that succeeds gives; the
 * others are given up. When none does, throws what the first said that answered at all.
 */
export async function firstOfAddresses<Made>(
  addresses: readonly string[],
  signal: AbortSignal,
  { make, discard }: Attempt<Made>,
): Promise<Made> {
  const others = new AbortController();
  const until = AbortSignal.any([signal, others.signal]);
  let turn: Promise<unknown> = Promise.resolve();
  let won = false;
  const attempts = addresses.map((address) => {
    const begin = turn;
    const made = begin.then(async () => {
      until.throwIfAborted();
      const each = await make(address, until);
      if (won) discard(each);
      won = true;
      return each;
    });
    turn = begin.then(() =>
      Promise.race([
        pause(HEAD_START_MS, until),
        made.then(
          () => pause(HEAD_START_MS, until),
          () => undefined,
        ),
      ]),
    );
    return made;
  });
  try {
    return await Promise.any(attempts);
  } catch (error) {
    if (signal.aborted) throw cancellation(signal);
    const faults = (error as AggregateError).errors.map(toTowlineError);
    throw faults.find(({ code }) => code !== 'relay_unreachable') ?? faults[0] ?? new TowlineError('relay_unreachable');
  } finally {
    others.abort(new TowlineError('cancelled'));
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function abortable<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(cancellation(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
