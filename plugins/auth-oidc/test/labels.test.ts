import { expect, it } from 'vitest';
import { optionsSchema } from '../src/options.ts';
import { principalOf } from '../src/principal.ts';

const options = optionsSchema.parse({ issuer: 'https://id.example.com', client_id: 'towline' });
const labelOf = (claims: object) => principalOf({ sub: 's-1', exp: 2_000_000_000, ...claims }, options, () => {}).label;

it.each(['boss\uff20example.com', 'boss\ufe6bexample.com', 'boss@example.com'])('a name such as %s poses as no address', (name) => {
  expect(labelOf({ preferred_username: name, name })).toBe('s-1');
});

it('subjects in two forms of Unicode stay two users', () => {
  const idOf = (sub: string) => principalOf({ sub, exp: 2_000_000_000 }, options, () => {}).id;
  expect(new Set(['zo\u00eb', 'zoe\u0308', 'ZO\u00cb', 'a|b', 'a'].map(idOf)).size).toBe(5);
});
