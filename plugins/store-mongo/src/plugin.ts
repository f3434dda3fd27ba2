import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { MongoStore } from './mongo-store.ts';

const ADDRESS = 'expected an address that begins with mongodb:// or mongodb+srv://, here or in TOWLINE_MONGODB_URI';

const options = z.strictObject({
  uri: z
    .string({ error: ADDRESS })
    .regex(/^mongodb(\+srv)?:\/\/\S+$/, ADDRESS)
    .describe('Address of the database, with name and password where it needs them. A secret.'),
  database: z
    .string()
    .regex(/^[\w-]{1,38}$/, 'expected 1 to 38 letters, digits, _ or -')
    .default('towline')
    .describe('Name of the database on the server; whatever the address names is only where the user is looked up.'),
});

/** The store of relays that have a MongoDB, or another server that speaks its protocol. */
export const plugin = definePlugin({
  kind: 'store',
  name: 'mongo',
  options,
  needs: [],
  create: ({ uri, database }) => new MongoStore(uri, database),
});
