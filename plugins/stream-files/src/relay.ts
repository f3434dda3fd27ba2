import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { FILES_PROTOCOL, type FilesBody, filesBodySchema } from './messages.ts';

/**
 * Relay half: who may read and write files is decided by the role on the device, and reading needs that of an operator too. The audit
 * names operation and path; the files themselves come by the session's journal.
 */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'files',
  options: z.strictObject({}),
  create: () => ({
    protocol: FILES_PROTOCOL,
    body: filesBodySchema,
    right: 'operator',
    prepare: (body: FilesBody) => ({ body, audit: { operation: body.operation, path: body.path } }),
  }),
});
