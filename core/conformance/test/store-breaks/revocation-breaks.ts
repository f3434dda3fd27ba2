import type { Revocation } from '@towline/contract';
import { type Break, replace } from './break.ts';

/** Stores that break one promise of the revocations. */
export const revocationBreaks: readonly Break[] = [
  {
    promise: 'revocations: their numbers grow by one in the order in which they happened',
    fault: 'hands the one asked after out again',
    of: (store) => replace(store, 'revocations', (good) => ({ listAfter: (number) => good.listAfter(number - 1) })),
  },
  {
    promise: 'revocations: those that happen at one time get numbers without gaps',
    fault: 'takes a number for a try that failed',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) =>
          (await good.listAfter(number)).map((one) => ({ ...one, number: one.number + Math.floor(one.number / 5) })),
      })),
  },
  {
    promise: 'revocations: at most 500 are handed out at once, the oldest first',
    fault: 'hands all of them out',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => {
          const all: Revocation[] = [];
          for (let page = await good.listAfter(number); page.length > 0; page = await good.listAfter(all.at(-1)!.number)) all.push(...page);
          return all;
        },
      })),
  },
  {
    promise: 'revocations: old ones are deleted and counted, and their numbers are not given again',
    fault: 'counts anew from those that are left',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => (await good.listAfter(number)).map((one, index) => ({ ...one, number: number + index + 1 })),
      })),
  },
];
