import { TowlineError } from '@towline/protocol';
import { originOf } from '../loop/origin.ts';

/** Connections at once that nobody has vouched for yet. At 5 s each, 400 a second that never say who they are fill it. */
const MAX_STRANGERS = 2_000;
/** Of these, from one address: devices behind one address may all come back at once. */
const MAX_STRANGERS_PER_ADDRESS = 500;

/** How many connections the edge may hold. */
export interface GuestLimits {
  readonly maxConnections: number;
  readonly maxStrangers?: number;
  readonly maxStrangersPerAddress?: number;
}

/** One connection on the list. */
export interface Guest {
  /** The relay vouched for it. */
  known(): void;
  /** It is over. */
  left(): void;
}

/** Who is connected, and who of them is not authenticated yet. */
export interface GuestList {
  /** Takes a connection in. @throws TowlineError `rate_limited` above a limit. */
  enter(address: string): Guest;
  readonly connections: number;
  readonly strangers: number;
}

/** Counts connections and keeps them within limits. */
export function createGuestList(limits: GuestLimits): GuestList {
  const { maxConnections, maxStrangers = MAX_STRANGERS, maxStrangersPerAddress = MAX_STRANGERS_PER_ADDRESS } = limits;
  const strangersFrom = new Map<string, number>();
  let connections = 0;
  let strangers = 0;
  const known = (origin: string) => {
    strangers -= 1;
    const left = (strangersFrom.get(origin) ?? 1) - 1;
    if (left === 0) strangersFrom.delete(origin);
    else strangersFrom.set(origin, left);
  };
  return {
    enter(address) {
      const origin = originOf(address);
      const fromThere = strangersFrom.get(origin) ?? 0;
      if (connections >= maxConnections) throw new TowlineError('rate_limited', 'The relay has as many QUIC connections as it may.');
      if (strangers >= maxStrangers || fromThere >= maxStrangersPerAddress)
        throw new TowlineError('rate_limited', 'Too many connections wait to be let in.');
      connections += 1;
      strangers += 1;
      strangersFrom.set(origin, fromThere + 1);
      let stage: 'stranger' | 'known' | 'gone' = 'stranger';
      return {
        known() {
          if (stage === 'stranger') known(origin);
          stage = 'known';
        },
        left() {
          if (stage === 'gone') return;
          if (stage === 'stranger') known(origin);
          stage = 'gone';
          connections -= 1;
        },
      };
    },
    get connections() {
      return connections;
    },
    get strangers() {
      return strangers;
    },
  };
}
