import { definePlugin } from '@towline/contract';
import { createJwtProvider } from './jwt-provider.ts';
import { optionsSchema } from './options.ts';

/** Auth provider `jwt`: tokens that the relay signs itself, for whoever came in by another provider. */
export const plugin = definePlugin({
  kind: 'auth',
  name: 'jwt',
  options: optionsSchema,
  create: ({ keys, expiration, issuer }, { clock }) => createJwtProvider({ keys, expirationMs: expiration, issuer, clock }),
});
