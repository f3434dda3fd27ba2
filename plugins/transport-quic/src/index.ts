import { definePlugin } from '@towline/contract';
import { z } from 'zod';
import { listenQuic } from './relay/listen-quic.ts';

const options = z.strictObject({
  max_connections: z
    .int({ error: 'a whole number from 1 to 100,000' })
    .min(1, 'a whole number from 1 to 100,000')
    .max(100_000, 'a whole number from 1 to 100,000')
    .default(20_000)
    .describe('QUIC connections that may be open at a time'),
});

/** Relay half: links over QUIC, on the UDP port with the number of the API's TCP port, served by a process of its own. */
export const plugin = definePlugin({
  kind: 'transport',
  name: 'quic',
  options,
  needs: ['dataDir'],
  create: ({ max_connections: maxConnections }, { dataDir, log }) => ({
    listen: (door) => listenQuic(door, { dataDir, maxConnections, log }),
  }),
});
