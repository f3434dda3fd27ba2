import { definePlugin } from '@towline/contract';
import { defined } from '@towline/protocol';
import { z } from 'zod';
import { commandForAudit } from './command-for-audit.ts';
import { EXEC_PROTOCOL, type ExecRequest, execRequestSchema } from './messages.ts';

/** Relay half: who may run commands is decided by the role on the device; the audit names the command. */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'exec',
  options: z.strictObject({}),
  create: () => ({
    protocol: EXEC_PROTOCOL,
    body: execRequestSchema,
    right: 'operator',
    prepare: ({ secrets, ...body }: ExecRequest) => ({
      body,
      audit: { command: commandForAudit(body.argv), tty: body.tty !== undefined },
      ...defined({ secrets }),
    }),
  }),
});
