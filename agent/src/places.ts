/**
 * How many places an account may have for each that is free. One alone gets three quarters of all, two get three sevenths each, and
 * so on: however many somebody wants, some are left for whoever has few. Nobody has to say how many users there will be.
 */
const FOR_EACH_FREE = 3;

/** Why an account gets no place: nobody does, or it has its share. */
export type NoPlace = 'full' | 'share';

/** A bounded number of places that accounts share. */
export interface Places {
  /** Why that account gets no place now; null when it gets one. */
  refuse(account: string): NoPlace | null;
  take(account: string): void;
  /** Gives one place of that account back. */
  release(account: string): void;
}

/** Makes them. Of fewer than four, one account may get all. */
export function createPlaces(limit: number): Places {
  const counts = new Map<string, number>();
  let taken = 0;
  return {
    refuse(account) {
      const free = limit - taken;
      if (free <= 0) return 'full';
      return (counts.get(account) ?? 0) < FOR_EACH_FREE * free ? null : 'share';
    },
    take(account) {
      taken += 1;
      counts.set(account, (counts.get(account) ?? 0) + 1);
    },
    release(account) {
      const left = (counts.get(account) ?? 1) - 1;
      taken -= 1;
      if (left === 0) counts.delete(account);
      else counts.set(account, left);
    },
  };
}
