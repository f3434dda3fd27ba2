import { type Break, replace } from './break.ts';

/** Stores that break one promise of the relay's own values. */
export const metaBreaks: readonly Break[] = [
  {
    promise: 'meta: a value that was never set is null',
    fault: 'answers an empty text',
    of: (store) => replace(store, 'meta', (good) => ({ get: async (name) => (await good.get(name)) ?? '' })),
  },
  {
    promise: 'meta: a value is set where the present one is the expected',
    fault: 'takes an empty text for absent',
    of: (store) => replace(store, 'meta', (good) => ({ get: async (name) => (await good.get(name)) || null })),
  },
  {
    promise: 'meta: a value stays where the present one is another than the expected',
    fault: 'overwrites a value where none was expected',
    of: (store) =>
      replace(store, 'meta', (good) => ({
        compareAndSet: async (name, expected, value) => good.compareAndSet(name, expected ?? (await good.get(name)), value),
      })),
  },
  {
    promise: 'meta: of many that set a value at one time exactly one wins, and its value stays',
    fault: 'looks first and sets later',
    of: (store) =>
      replace(store, 'meta', (good) => ({
        compareAndSet: async (name, expected, value) => {
          const present = await good.get(name);
          await good.compareAndSet(name, present, value);
          return present === expected;
        },
      })),
  },
];
