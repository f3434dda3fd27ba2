import { definePlugin } from '@towline/contract';
import { defined } from '@towline/protocol';
import { z } from 'zod';
import { SHELL_PROTOCOL, type ShellRequest, shellRequestSchema } from './messages.ts';

/** Relay half: who may open a shell is decided by the role on the device. What is typed is not recorded. */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'shell',
  options: z.strictObject({}),
  create: () => ({
    protocol: SHELL_PROTOCOL,
    body: shellRequestSchema,
    right: 'operator',
    prepare: ({ secrets, ...body }: ShellRequest) => ({ body, audit: { term: body.term }, ...defined({ secrets }) }),
  }),
});
