import { definePlugin } from '@towline/contract';
import { createOidcAuth } from './oidc-auth.ts';
import { optionsSchema } from './options.ts';
import { PROVIDER } from './principal.ts';

/** Auth provider `oidc`: access tokens of an OpenID provider, found by discovery; people log in by its device flow. */
export const plugin = definePlugin({
  kind: 'auth',
  name: PROVIDER,
  options: optionsSchema,
  needs: ['baseDir'],
  create: (options, host) => createOidcAuth({ options, log: host.log, clock: host.clock, baseDir: host.baseDir, environment: process.env }),
});
