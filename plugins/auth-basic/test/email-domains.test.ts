import { expect, it } from 'vitest';
import { plugin } from '../src/index.ts';
import { cheapHash, checkOptions, PASSWORD } from './fixture.ts';

const user = (more: object) => ({ users: [{ username: 'ann', password_hash: cheapHash(PASSWORD), ...more }] });

it('names the domain of an address as other providers name it, so that two for one domain are found', async () => {
  const { value } = await checkOptions(user({ email: 'ann@bücher.example' }));
  const provider = plugin.create(value, {} as unknown as Parameters<typeof plugin.create>[1]);
  expect(provider.emailDomains).toEqual(['xn--bcher-kva.example']);
});

it.each(['scrypt$16384$1$1', 'scrypt$1048576$1$1', 'scrypt$131072$2$1'])(
  'a hash of %s is too cheap, or cannot be computed',
  async (cost) => {
    const [, , , , salt, key] = cheapHash(PASSWORD).split('$');
    expect((await checkOptions(user({ password_hash: `${cost}$${salt}$${key}` }))).faults).toHaveLength(1);
  },
);
