import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { SHELL_PROTOCOL, type ShellBody, shellBodySchema } from './messages.ts';

/** Relay half: who may open a shell is decided by the role on the device. What is typed is not recorded. */
export const plugin = definePlugin({
  kind: 'stream',
  name: 'shell',
  options: z.strictObject({}),
  create: () => ({
    protocol: SHELL_PROTOCOL,
    body: shellBodySchema,
    right: 'operator',
    prepare: (body: ShellBody) => ({ body, audit: { term: body.term } }),
  }),
});
