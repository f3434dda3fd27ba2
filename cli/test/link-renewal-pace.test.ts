import type { ClientToRelay } from '@towline/protocol';
import { expect, it } from 'vitest';
import { keepRenewed, type LinkRenewal } from '../src/device/link-renewal.ts';
import type { UserCredential } from '../src/relay/credential.ts';

const TIME = 1_000_000;
const credential = (value: string): UserCredential => ({
  source: 'login',
  kind: 'token',
  header: 'Authorization',
  value,
  endsAt: Number.POSITIVE_INFINITY,
  renewable: true,
});

it('a relay that ends each token at once does not make the provider issue one after the other', async () => {
  let renewed = 0;
  let renewal: LinkRenewal | undefined;
  const control = {
    send: (message: ClientToRelay) => {
      if (message.type === 'credential')
        setImmediate(() => renewal?.take({ type: 'credential_result', id: message.id, expires_at_ms: TIME - 5_000 }));
    },
  };
  renewal = keepRenewed({
    control,
    credential: credential('Bearer 0'),
    welcome: { type: 'welcome', level: 1, time_ms: TIME, principal: 'ann', expires_at_ms: TIME } as never,
    renew: async () => credential(`Bearer ${(renewed += 1)}`),
    warn: () => {},
  });
  await new Promise((later) => setTimeout(later, 1_500));
  await renewal[Symbol.asyncDispose]();
  expect(renewed).toBeGreaterThan(0);
  expect(renewed).toBeLessThanOrEqual(6);
});
