import type { Store } from '@towline/contract';
import type { Database } from './database.ts';
import { isInserted } from './fault.ts';

/** The relay's own values, each a document of its own. */
export function metaRepository({ meta, queue }: Database): Store['meta'] {
  return {
    get: async (name) => ((await meta.findOne({ _id: name }))?.value as string | undefined) ?? null,
    compareAndSet: (name, expected, value) =>
      queue.run(`meta ${name}`, async () => {
        if (expected === null) return isInserted(meta.insertOne({ _id: name, value }));
        return (await meta.updateOne({ _id: name, value: { $eq: expected } }, { $set: { value } })).matchedCount === 1;
      }),
  };
}
