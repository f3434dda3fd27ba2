import { definePlugin } from '@towline/contract';
import { acceptUpgrade, UPGRADE_TOKEN } from '@towline/link';
import { z } from 'zod';
import { acceptWebSocket } from './websocket/accept-websocket.ts';

/** Relay half: links over upgraded HTTPS connections on the port of the API, bare or inside a WebSocket. It has no options. */
export const plugin = definePlugin({
  kind: 'transport',
  name: 'tls',
  options: z.strictObject({}),
  create: () => ({
    upgrades: [
      { transport: 'tls', token: UPGRADE_TOKEN, complete: acceptUpgrade },
      { transport: 'websocket', token: 'websocket', complete: acceptWebSocket },
    ],
  }),
});
