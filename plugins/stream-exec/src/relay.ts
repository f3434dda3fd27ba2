import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { commandForAudit } from './command-for-audit.ts';
import { EXEC_PROTOCOL, type ExecBody, execBodySchema } from './messages.ts';

/** Relay half: who may run commands is decided by the role on the device; the audit names the command. */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'exec',
  options: z.strictObject({}),
  create: () => ({
    protocol: EXEC_PROTOCOL,
    body: execBodySchema,
    right: 'operator',
    prepare: (body: ExecBody) => ({ body, audit: { command: commandForAudit(body.argv), tty: body.tty !== undefined } }),
  }),
});
