import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { acceptUpgrade } from './accept-upgrade.ts';
import { UPGRADE_TOKEN } from './upgrade-token.ts';

/** Relay half: links over upgraded HTTPS connections, on the port of the API. It has no options. */
export const plugin = definePlugin({
  kind: 'transport',
  name: 'tls',
  options: z.strictObject({}),
  create: () => ({ upgradeToken: UPGRADE_TOKEN, upgrade: acceptUpgrade }),
});
