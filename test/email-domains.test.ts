import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Site } from './support/plugin-site.ts';
import { createSystem, type TestSystem } from './support/system.ts';

let system: TestSystem;
beforeAll(() => {
  system = createSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

const vouching = (domains: string) => `({ emailDomains: ${domains}, authenticate: async () => ({ outcome: 'skipped' }) })`;

it('a relay with two providers for the addresses of one domain does not start, and says which', async () => {
  const dir = join(system.dir, 'site');
  mkdirSync(dir);
  const site = new Site(dir)
    .addPackage('plugins/one', { kind: 'auth', name: 'one', create: vouching("['corp.example']") })
    .addPackage('plugins/two', { kind: 'auth', name: 'two', create: vouching("['other.example', 'corp.example']") })
    .configure('auth:', '  - one', '  - apikey', '  - two', 'plugins: [./plugins/one, ./plugins/two]');
  const { code, stdout, stderr } = await site.start();
  expect(code).toBe(2);
  expect(stdout).not.toContain('ready');
  expect(stderr).toContain('towline.yaml:4: auth[0] (one) and auth[2] (two) may both vouch for e-mail addresses of corp.example.');
  expect(stderr).toContain('email_domains');
});
