import { describe, it } from 'vitest';
import type { MakeStore } from './store-case.ts';
import { storeCases } from './store-cases.ts';

/** Runs every promise of the store contract as a vitest test, each on a store of its own. */
export function describeStore(name: string, makeStore: MakeStore): void {
  describe(`the store contract on ${name}`, () => {
    for (const storeCase of storeCases) {
      it(storeCase.name, async (context) => {
        const handle = await makeStore();
        try {
          if (storeCase.needsSecond && !handle.second) context.skip('the store cannot be opened twice');
          await storeCase.run(handle);
        } finally {
          await handle.dispose();
        }
      });
    }
  });
}
