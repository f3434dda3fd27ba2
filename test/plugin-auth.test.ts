import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Site } from './support/plugin-site.ts';
import { bodyOf, openApi } from './support/relay-api.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
beforeAll(() => {
  system = createSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

describe('an auth plugin of somebody else', () => {
  /** Fifty lines are enough: tokens of its own, people with their verified addresses, no package but the contract. */
  const ACME = `
    import { createHash, timingSafeEqual } from 'node:crypto';
    import { readFileSync } from 'node:fs';
    import { resolve } from 'node:path';
    import { definePlugin } from '@towline/contract';

    const digest = (text) => createHash('sha256').update(text).digest();
    const options = {
      '~standard': {
        version: 1,
        vendor: 'acme',
        validate: (value) =>
          typeof value.users === 'string' ? { value } : { issues: [{ message: 'expected the path of a file', path: ['users'] }] },
      },
    };
    const textOf = (credential) =>
      credential.scheme === 'bearer' ? credential.token : credential.scheme === 'api_key' ? credential.key : null;

    export const plugin = definePlugin({
      kind: 'auth',
      name: 'acme',
      options,
      optionsJsonSchema: { type: 'object', properties: { users: { type: 'string' } }, additionalProperties: false },
      needs: ['baseDir'],
      create: ({ users }, host) => {
        let people = [];
        return {
          async start() {
            people = JSON.parse(readFileSync(resolve(host.baseDir, users), 'utf8'));
          },
          async authenticate(credential) {
            const text = textOf(credential);
            if (text === null || !text.startsWith('acme.')) return { outcome: 'skipped' };
            if (text === 'acme.crash') throw new Error('the directory of acme is down');
            const person = people.find(({ token }) => timingSafeEqual(digest(token), digest(text)));
            if (person === undefined) return { outcome: 'rejected', code: 'unauthenticated', message: 'Acme does not know this token.' };
            const scopes = [{ scope: 'user:' + person.email, role: 'admin' }];
            const principal = { kind: 'user', id: 'acme|' + person.id, label: person.email, email: person.email, scopes, admin: false, provider: 'acme' };
            return { outcome: 'accepted', principal };
          },
        };
      },
    });
  `;
  let relay: TestRelay;
  beforeAll(async () => {
    const here = new Site(join(system.dir, 'site')).addPackage('node_modules/@acme/towline-auth', { kind: 'auth', name: 'acme' });
    writeFileSync(join(here.dir, 'node_modules/@acme/towline-auth/index.js'), ACME);
    const people = [
      { id: 7, email: 'ann@acme.example', token: 'acme.ann-0123456789' },
      { id: 8, email: 'bob@acme.example', token: 'acme.bob-0123456789' },
    ];
    writeFileSync(join(here.dir, 'people.json'), JSON.stringify(people));
    here.configure(
      'plugins: ["@acme/towline-auth"]',
      'admin_emails: [bob@acme.example]',
      'auth: [{ use: acme, users: people.json }, apikey]',
    );
    relay = await here.serve();
  });
  afterAll(() => relay?.[Symbol.asyncDispose]());

  it('lets its people in over HTTP, and the others and a wrong token not', async () => {
    using api = openApi(relay);
    const me = (token: string) => api.call('GET', '/v1/me', { headers: { authorization: `Bearer ${token}` } });
    expect(bodyOf(await me('acme.ann-0123456789'))).toMatchObject({
      id: 'acme|7',
      email: 'ann@acme.example',
      provider: 'acme',
      admin: false,
    });
    expect(bodyOf(await me('acme.bob-0123456789'))).toMatchObject({ id: 'acme|8', admin: true });
    expect((await me('acme.eve')).body).toMatchObject({ error: { code: 'unauthenticated', message: 'Acme does not know this token.' } });
    expect(await me('elsewhere.eve')).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(bodyOf(await api.call('GET', '/v1/me', { key: relay.adminKey }))).toMatchObject({ provider: 'apikey', admin: true });
  });

  it('lets nobody in when it breaks, and does no harm to the others', async () => {
    using api = openApi(relay);
    expect(await api.call('GET', '/v1/me', { headers: { authorization: 'Bearer acme.crash' } })).toMatchObject({
      status: 500,
      code: 'internal',
    });
    await relay.program.saw(/the directory of acme is down/, 'stderr');
    expect((await api.call('GET', '/v1/me', { key: relay.adminKey })).status).toBe(200);
  });

  it('carries its people through the whole job by the command line, and the trail names them', async () => {
    const ann = { key: 'acme.ann-0123456789' };
    await using device = system.startDevice(relay, { name: 'ann-pi', email: 'ann@acme.example' });
    const { request } = await device.event('waiting');
    expect((await system.towline(relay, ['devices', 'approve', String(request)], ann)).code).toBe(0);
    await device.event('online');
    expect(await system.towline(relay, ['ann-pi', 'exec', '--', 'echo', 'hello'], ann)).toMatchObject({ code: 0, stdout: 'hello\n' });
    const opened = storedTrail(relay.dir).find(({ action }) => action === 'session.opened');
    expect(opened?.actor).toEqual({ kind: 'user', id: 'acme|7', label: 'ann@acme.example', email: 'ann@acme.example', provider: 'acme' });
    const stranger = await system.towline(relay, ['ann-pi', 'exec', '--', 'true'], { key: 'acme.eve-0123456789' });
    expect(stranger.code).toBe(255);
    expect(stranger.stderr).toContain('Acme does not know this token.');
  });
});
