import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { ApiKeyProvider } from './api-key-provider.ts';
import { PROVIDER } from './key-principal.ts';

/** Auth provider `apikey`: the API keys of users, devices and enrolment that the store holds. */
export const plugin = definePlugin({
  kind: 'auth',
  name: PROVIDER,
  options: z.strictObject({}),
  needs: ['store'],
  create: (_options, host) => new ApiKeyProvider({ keys: host.store.keys, clock: host.clock, log: host.log }),
});
