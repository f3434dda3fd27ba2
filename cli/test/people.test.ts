import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, type Outcome, USER_KEY, type User } from './run-cli.ts';
import { accessView, DEVICE_ID, deviceView, KEY_ID, keyView, memberView, orgView, shareView, USER_ID, userView } from './views.ts';

let user: User;
let peer: RelayPeer;
let answer: (request: SeenRequest) => Answer;
beforeEach(async () => {
  user = await makeUser();
  peer = await startPeer((request) => answer(request));
});
afterEach(async () => {
  await peer[Symbol.asyncDispose]();
  await user[Symbol.asyncDispose]();
});
const run = (...args: string[]): Promise<Outcome> => user.run(args, { env: { TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY } });
const last = (): SeenRequest => peer.requests.at(-1)!;
const gone: Answer = { status: 204, json: null };

describe('users', () => {
  it('lists them, and asks the relay for those of one address or disabled', async () => {
    answer = () => list([userView(), userView({ id: 'basic|eve', label: 'eve', email: null, disabled: true })]);
    const all = await run('users', 'list');
    expect(all).toMatchObject({ code: 0, stderr: '' });
    expect(all.stdout.split('\n').slice(0, 3)).toEqual([
      expect.stringMatching(/^USER +E-MAIL +STATE +KNOWN BY +SEEN +ID$/),
      expect.stringMatching(/^bob@example\.com +bob@example\.com +enabled +oidc +\S+ ago +https:\/\/id\.example\.com\|0a\/1:b$/),
      expect.stringMatching(/^eve +- +disabled +oidc +.* basic\|eve$/),
    ]);
    const json = await run('users', 'list', '--email', 'Bob@Example.com', '--disabled', '--json');
    expect((JSON.parse(json.stdout) as { items: unknown[] }).items[0]).toEqual(userView());
    expect(Object.fromEntries(last().query)).toMatchObject({ email: 'bob@example.com', disabled: 'true' });
  });

  it('disables by id, whatever letters it has, without asking for anybody else', async () => {
    answer = ({ method }) => ({ json: userView({ disabled: method === 'PATCH' }) });
    expect(await run('users', 'disable', USER_ID, '--reason', 'left us')).toMatchObject({
      code: 0,
      stdout: `disabled bob@example.com (${USER_ID})\n`,
    });
    expect(last()).toMatchObject({
      method: 'PATCH',
      path: `/v1/users/${encodeURIComponent(USER_ID)}`,
      body: { disabled: true, reason: 'left us' },
    });
    expect(peer.requests.every(({ path }) => path.startsWith('/v1/users/https'))).toBe(true);
  });

  it('enables all users of an address and prints each', async () => {
    answer = ({ method, path }) =>
      method === 'GET'
        ? list([userView({ disabled: true }), userView({ id: 'basic|bob', disabled: true })])
        : { json: userView({ id: decodeURIComponent(path.split('/')[3]!) }) };
    const { code, stdout } = await run('users', 'enable', 'BOB@example.com');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `enabled bob@example.com (${USER_ID})\nenabled bob@example.com (basic|bob)\n` });
    expect(peer.requests[0]!.query.get('email')).toBe('bob@example.com');
    expect(last().body).toEqual({ disabled: false });
    const json = await run('users', 'enable', 'bob@example.com', '--json');
    expect((JSON.parse(json.stdout) as { items: { id: string }[] }).items.map(({ id }) => id)).toEqual([USER_ID, 'basic|bob']);
  });

  it('goes on to the others when one is refused, and ends with the code of the refusal', async () => {
    answer = ({ method, path }) => {
      if (method === 'GET') return list([userView({ id: 'basic|me' }), userView()]);
      return path.includes('basic') ? failure(403, 'forbidden', 'You cannot disable yourself.') : { json: userView({ disabled: true }) };
    };
    const { code, stdout, stderr } = await run('users', 'disable', 'bob@example.com');
    expect({ code, stdout }).toEqual({ code: 3, stdout: `disabled bob@example.com (${USER_ID})\n` });
    expect(stderr).toContain('basic|me: You cannot disable yourself.');
  });

  it('says that nobody has the address, and takes user:EMAIL for an address with a bar in it', async () => {
    answer = () => list([]);
    expect(await run('users', 'disable', 'carol@example.com')).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringContaining('users list'),
    });
    expect((await run('users', 'disable', 'user:a|b@example.com')).code).toBe(4);
    expect(last()).toMatchObject({ method: 'GET', path: '/v1/users' });
    expect(last().query.get('email')).toBe('a|b@example.com');
  });
});

describe('orgs', () => {
  it('creates one, with its name and what names it already only when asked to', async () => {
    answer = () => ({ status: 201, json: orgView() });
    expect(await run('orgs', 'create', 'acme')).toMatchObject({ code: 0, stdout: 'created org:acme (Acme Ltd)\n' });
    expect(last()).toMatchObject({ method: 'POST', path: '/v1/orgs', body: { id: 'acme' } });
    expect(Object.keys(last().body as object)).toEqual(['id']);
    const json = await run('orgs', 'create', 'org:acme', '--name', 'Acme Ltd', '--adopt', '--json');
    expect(JSON.parse(json.stdout)).toEqual(orgView());
    expect(last().body).toEqual({ id: 'acme', name: 'Acme Ltd', adopt: true });
  });

  it('lists and shows them', async () => {
    answer = () => list([orgView(), orgView({ id: 'umbrella', role: null })]);
    const { stdout } = await run('orgs', 'list');
    expect(stdout).toMatch(/^ID +NAME +YOUR ROLE +CREATED\nacme +Acme Ltd +admin +\S+ ago\numbrella +Acme Ltd +- /);
    answer = () => ({ json: orgView() });
    expect((await run('orgs', 'show', 'acme')).stdout).toMatch(/^scope +org:acme\nyour role +admin\n/m);
    expect(JSON.parse((await run('orgs', 'show', 'org:acme', '--json')).stdout)).toEqual(orgView());
    expect(last().path).toBe('/v1/orgs/acme');
    answer = () => list([]);
    expect(await run('orgs', 'list')).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('no organisations') });
  });

  it('deletes without asking where there is no terminal, and says where the devices go', async () => {
    answer = () => gone;
    expect(await run('orgs', 'delete', 'acme', '--devices-to', 'user:Ada@example.com')).toMatchObject({
      code: 0,
      stdout: 'deleted org:acme; its devices belong to user:ada@example.com now\n',
    });
    expect(last()).toMatchObject({ method: 'DELETE', path: '/v1/orgs/acme' });
    expect(last().query.get('devices_to')).toBe('user:ada@example.com');
    expect(JSON.parse((await run('orgs', 'delete', 'acme', '--json')).stdout)).toEqual({ deleted: 'acme' });
    expect(last().query.has('devices_to')).toBe(false);
  });

  it('lists, adds and removes members', async () => {
    answer = () => list([memberView()]);
    expect((await run('orgs', 'members', 'list', 'acme')).stdout).toMatch(
      /^E-MAIL +ROLE +ADDED +BY\nbob@example\.com +operator +\S+ ago +ada@example\.com\n$/,
    );
    expect(last().path).toBe('/v1/orgs/acme/members');
    answer = ({ body }) => ({ json: memberView(body as Record<string, unknown>) });
    expect(await run('orgs', 'members', 'add', 'acme', 'Bob@example.com')).toMatchObject({
      code: 0,
      stdout: 'bob@example.com is operator of org:acme\n',
    });
    expect(last()).toMatchObject({ method: 'PUT', path: '/v1/orgs/acme/members/bob%40example.com', body: { role: 'operator' } });
    const json = await run('orgs', 'members', 'add', 'org:acme', 'user:bob@example.com', '--role', 'admin', '--json');
    expect(JSON.parse(json.stdout)).toEqual(memberView({ role: 'admin' }));
    answer = () => gone;
    expect(await run('orgs', 'members', 'remove', 'acme', 'bob@example.com')).toMatchObject({
      code: 0,
      stdout: 'removed bob@example.com from org:acme\n',
    });
    expect(last()).toMatchObject({ method: 'DELETE', path: '/v1/orgs/acme/members/bob%40example.com' });
    expect(JSON.parse((await run('orgs', 'members', 'remove', 'acme', 'bob@example.com', '--json')).stdout)).toEqual({
      removed: 'bob@example.com',
    });
  });
});

describe('keys', () => {
  const key = `twl_u_${KEY_ID}_${'e'.repeat(64)}`;

  it('prints the new key and nothing else', async () => {
    answer = () => ({ status: 201, json: { id: KEY_ID, key } });
    expect(await run('keys', 'create')).toEqual({ code: 0, stdout: `${key}\n`, stderr: '' });
    expect(last()).toMatchObject({ method: 'POST', path: '/v1/keys', body: {} });
    expect(JSON.parse((await run('keys', 'create', '--json')).stdout)).toEqual({ id: KEY_ID, key });
  });

  it('asks for the limits that were given', async () => {
    answer = () => ({ json: { id: KEY_ID, key } });
    const limits = [
      '--scope',
      'org:acme=viewer',
      '--scope',
      'user:a=b@example.com',
      '--stream',
      'exec',
      '--stream',
      'shell',
      '--device',
      'device:keys',
    ];
    expect((await run('keys', 'create', '--name', 'ci', ...limits, '--expires', '90d')).code).toBe(0);
    const { expires_at: end, ...body } = last().body as { expires_at: string };
    expect(body).toEqual({
      name: 'ci',
      scopes: [
        { scope: 'org:acme', role: 'viewer' },
        { scope: 'user:a=b@example.com', role: 'operator' },
      ],
      streams: ['exec', 'shell'],
      devices: ['keys'],
    });
    expect(Math.abs(Date.parse(end) - Date.now() - 90 * 86_400_000)).toBeLessThan(60_000);
  });

  it('makes enrolment keys', async () => {
    answer = () => ({ json: { id: KEY_ID, key } });
    await run('keys', 'create', '--enrol', 'org:acme', '--count', '5', '--expires', '2126-01-01T00:00:00+01:00');
    expect(last().body).toEqual({ kind: 'enrolment', owner: 'org:acme', count: 5, expires_at: '2125-12-31T23:00:00.000Z' });
  });

  it('lists what is valid, with --revoked the rest too, and never a secret', async () => {
    const revoked = keyView({ id: 'f'.repeat(16), state: 'revoked', remaining: 3, streams: null, scopes: [] });
    answer = ({ query }) => list(query.get('revoked') === 'true' ? [keyView(), revoked] : [keyView()]);
    const valid = await run('keys', 'list');
    expect(valid.stdout).toMatch(
      /^ID +NAME +KIND +STATE +OWNER +USED +EXPIRES +LIMITS\n00112233aabbccdd +ci +user +valid +user:bob@example\.com +- +- +org:acme=operator, streams exec\n$/,
    );
    expect(last().query.has('all')).toBe(false);
    const all = await run('keys', 'list', '--all', '--revoked');
    expect(all.stdout).toMatch(/^ffffffffffffffff .* revoked .* 3 devices left$/m);
    expect(last().query.get('all')).toBe('true');
    expect((JSON.parse((await run('keys', 'list', '--json')).stdout) as { items: unknown[] }).items).toEqual([keyView()]);
  });

  it('revokes by id, and sends no secret that came along', async () => {
    answer = () => gone;
    for (const word of [KEY_ID, `twl_u_${KEY_ID}`, key]) {
      expect(await run('keys', 'revoke', word)).toMatchObject({ code: 0, stdout: `revoked ${KEY_ID}\n` });
      expect(last()).toMatchObject({ method: 'DELETE', path: `/v1/keys/${KEY_ID}` });
    }
    const broken = await run('keys', 'revoke', `${key}!`);
    expect(broken).toMatchObject({ code: 2, stdout: '' });
    expect(broken.stderr).not.toContain('eeee');
    const json = await run('keys', 'revoke', KEY_ID, '--reason', 'leaked', '--json');
    expect(JSON.parse(json.stdout)).toEqual({ revoked: KEY_ID });
    expect(last().query.get('reason')).toBe('leaked');
  });

  it.each([
    ['scopes that are no list', { scopes: 'org:acme' }, '`scopes` is not a list'],
    ['a scope that is none', { scopes: [null] }, 'not an object'],
    ['streams that are no texts', { streams: [1] }, '`streams` is not a list of texts'],
  ])('explains %s in the answer', async (_what, extra, part) => {
    answer = () => list([keyView(extra)]);
    expect(await run('keys', 'list')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(part) });
  });
});

describe('access to a device', () => {
  it('is given by share, as operator of everything unless told otherwise', async () => {
    answer = () => ({ json: accessView() });
    expect(await run('devices', 'share', 'device:list', 'user:Bob@example.com')).toMatchObject({
      code: 0,
      stdout: 'shared device:list with user:bob@example.com: operator\n',
    });
    expect(last()).toMatchObject({ method: 'PUT', path: '/v1/devices/list/access/user%3Abob%40example.com', body: { role: 'operator' } });
    expect(Object.keys(last().body as object)).toEqual(['role']);
    const limits = ['--role', 'viewer', '--stream', 'exec', '--stream', 'files', '--until', '2126-11-22T09:00:00+01:00'];
    const limited = await run('devices', 'share', 'pi', 'org:acme', ...limits);
    expect(limited.stdout).toBe('shared pi with org:acme: viewer, only exec files, until 2126-11-22T08:00:00Z\n');
    expect(last().body).toEqual({ role: 'viewer', streams: ['exec', 'files'], until: '2126-11-22T08:00:00.000Z' });
  });

  it('ends some time from now', async () => {
    answer = () => ({ json: accessView() });
    await run('devices', 'share', 'pi', 'org:acme', '--until', '8h');
    const { until } = last().body as { until: string };
    expect(Math.abs(Date.parse(until) - Date.now() - 8 * 3_600_000)).toBeLessThan(60_000);
  });

  it('is shown with the owner first', async () => {
    answer = () => ({
      json: accessView({ shares: [shareView(), shareView({ scope: 'org:umbrella', streams: null, until: null, role: 'viewer' })] }),
    });
    const { code, stdout } = await run('devices', 'access', 'pi');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^WHO +ROLE +STREAMS +UNTIL +SHARED +BY$/),
      expect.stringMatching(/^org:acme +owner +all +- +- +-$/),
      expect.stringMatching(/^user:bob@example\.com +operator +exec shell +2126-11-22T00:00:00Z +\S+ ago +ada@example\.com$/),
      expect.stringMatching(/^org:umbrella +viewer +all +- +\S+ ago +ada@example\.com$/),
      '',
    ]);
    expect((JSON.parse((await run('devices', 'access', 'pi', '--json')).stdout) as { shares: unknown[] }).shares).toHaveLength(2);
    answer = () => ({ json: accessView({ shares: [{ ...shareView(), until: 7 }] }) });
    expect(await run('devices', 'access', 'pi')).toMatchObject({ code: 1, stderr: expect.stringContaining('`until` is not a text') });
  });

  it('is taken back', async () => {
    answer = () => gone;
    expect(await run('devices', 'unshare', 'pi', 'org:acme')).toMatchObject({ code: 0, stdout: 'org:acme has no share of pi any more\n' });
    expect(last()).toMatchObject({ method: 'DELETE', path: '/v1/devices/pi/access/org%3Aacme' });
    expect(JSON.parse((await run('devices', 'unshare', 'pi', 'org:acme', '--json')).stdout)).toEqual({ removed: 'org:acme' });
  });

  it('goes to another owner with the device, without asking where there is no terminal', async () => {
    answer = () => ({ json: deviceView({ owner: 'org:umbrella' }) });
    expect(await run('devices', 'transfer', 'pi', 'org:umbrella')).toMatchObject({
      code: 0,
      stdout: `pi (${DEVICE_ID}) belongs to org:umbrella now\n`,
    });
    expect(peer.requests).toMatchObject([{ method: 'POST', path: '/v1/devices/pi/transfer', body: { owner: 'org:umbrella' } }]);
    expect(JSON.parse((await run('devices', 'transfer', 'pi', 'org:umbrella', '--json')).stdout)).toEqual(
      deviceView({ owner: 'org:umbrella' }),
    );
  });

  it('shows one’s own role with the device', async () => {
    answer = () => ({ json: deviceView() });
    expect((await run('devices', 'show', 'pi')).stdout).toMatch(/^your role +operator$/m);
    answer = () => ({ json: deviceView({ role: 7 }) });
    expect(await run('devices', 'show', 'pi')).toMatchObject({ code: 1, stderr: expect.stringContaining('`role` is not a text') });
  });
});

const DISABLE = ['users', 'disable', USER_ID];
it.each([
  ['last_admin', 409, 1, ['orgs', 'members', 'remove', 'acme', 'bob@example.com']],
  ['org_deleted', 410, 4, ['orgs', 'create', 'acme']],
  ['conflict', 409, 1, ['orgs', 'create', 'acme']],
  ['conflict', 409, 1, ['orgs', 'delete', 'acme']],
  ['forbidden', 403, 3, DISABLE],
  ['forbidden', 403, 3, ['keys', 'create', '--scope', 'org:acme=admin']],
  ['forbidden', 403, 3, ['devices', 'share', 'pi', 'org:acme']],
  ['not_found', 404, 4, ['devices', 'transfer', 'pi', 'org:acme']],
  ['not_found', 404, 4, ['devices', 'unshare', 'pi', 'org:acme']],
  ['ambiguous', 409, 2, ['devices', 'access', 'pi']],
  ['not_found', 404, 4, ['keys', 'revoke', KEY_ID]],
  ['user_disabled', 403, 3, ['users', 'list']],
])('ends with the exit code of %s (%i): %j', async (code, status, exit, args) => {
  answer = () => failure(status, code, `It is ${code}.`, 'Look here.');
  expect(await run(...args)).toEqual({ code: exit, stdout: '', stderr: `towline: It is ${code}.\n  Look here.\n` });
});
