import { join, resolve } from 'node:path';
import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { SqliteStore } from './sqlite-store.ts';

const options = z.strictObject({
  path: z
    .string()
    .min(1)
    .refine((path) => !path.includes('\0'), 'expected a path without a NUL character')
    .optional()
    .describe('Database file. A relative path counts from the folder of the config file; left out: towline.db in the data folder.'),
});

/** The store of a single relay: one SQLite file, no server to run. */
export const plugin = definePlugin({
  kind: 'store',
  name: 'sqlite',
  options,
  needs: ['dataDir', 'baseDir'],
  create: ({ path }, host) => new SqliteStore(path === undefined ? join(host.dataDir, 'towline.db') : resolve(host.baseDir, path), host),
});
