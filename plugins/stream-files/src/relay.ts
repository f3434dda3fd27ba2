import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { FILES_PROTOCOL, type FilesBody, filesBodySchema } from './messages.ts';

/** Patterns are left out: what they did is in the notes of the files. */
function auditOf(body: FilesBody) {
  const { operation, path } = body;
  return body.operation === 'sync_write' ? { operation, path, delete: body.delete, dry_run: body.dry_run } : { operation, path };
}

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
    prepare: (body: FilesBody) => ({ body, audit: auditOf(body) }),
  }),
});
