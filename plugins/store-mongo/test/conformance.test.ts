import { storeCases } from '@towline/conformance/store-cases';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { makeStore } from './open-store.ts';

/** FerretDB changes a document that it has read by its id alone: of two processes that race, both may win there. */
const ONLY_ON_MONGODB = new Set(['two stores on one data: a race between them has exactly one winner']);
const BUILD_MS = 600_000;
/** Hundreds of changes one after the other: FerretDB reads a collection whole for each. */
const CASE_MS = 180_000;

const missing = await whyNoMongodb();
let server: MongodbServer | undefined;

beforeAll(async () => {
  if (missing === null) server = await startMongodb();
}, BUILD_MS);
afterAll(() => server?.stop());

describe('the store contract on MongoDB', () => {
  for (const { name, run } of storeCases) {
    it(
      name,
      async (context) => {
        if (!server) return context.skip(missing!);
        if (!server.isReal && ONLY_ON_MONGODB.has(name)) return context.skip('needs TOWLINE_TEST_MONGODB_URI: FerretDB cannot show it');
        const handle = await makeStore(server);
        try {
          await run(handle);
        } finally {
          await handle.dispose();
        }
      },
      CASE_MS,
    );
  }
});
