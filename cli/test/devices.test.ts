import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, type Outcome, USER_KEY, type User } from './run-cli.ts';
import { DEVICE_ID, deviceView, REQUEST_ID, registrationView } from './views.ts';

describe('devices', () => {
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

  it('lists devices in aligned columns, wide and combining letters included', async () => {
    answer = () => list([deviceView(), deviceView({ id: '9'.repeat(32), name: '東京の箱', online: false, link: null })]);
    const { code, stdout, stderr } = await run('devices', 'list');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(0, 3)).toEqual([
      'NAME      STATE    ID            OWNER     PLATFORM     SEEN',
      'pi        online   0123456789ab  org:acme  linux/arm64  now',
      expect.stringMatching(/^東京の箱 {2}offline {2}999999999999 {2}org:acme {2}linux\/arm64 {2}\S/),
    ]);
    expect(peer.requests[0]).toMatchObject({ method: 'GET', path: '/v1/devices', headers: { 'x-api-key': USER_KEY } });
  });

  it('gives JSON with the fields of the API and nothing else on stdout', async () => {
    answer = () => list([deviceView({ later: 'field' })]);
    const { stdout } = await run('devices', 'list', '--json', '--scope', 'org:acme');
    expect(JSON.parse(stdout)).toEqual({ items: [deviceView({ later: 'field' })], next: null });
    expect(peer.requests[0]!.query.get('scope')).toBe('org:acme');
  });

  it('says on stderr that there is none, and prints an empty list as JSON', async () => {
    answer = () => list([]);
    expect(await run('devices', 'list')).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('no devices') });
    expect(JSON.parse((await run('devices', 'list', '--json')).stdout)).toEqual({ items: [], next: null });
  });

  it('reads ten thousand devices page by page', async () => {
    const ids = Array.from({ length: 10_000 }, (_, at) => at.toString(16).padStart(32, '0'));
    answer = ({ query }) => {
      const from = Number(query.get('cursor') ?? 0);
      const to = from + Number(query.get('limit'));
      return list(
        ids.slice(from, to).map((id) => deviceView({ id, name: `pi-${id.slice(-5)}` })),
        to < ids.length ? String(to) : null,
      );
    };
    const { code, stdout } = await run('devices', 'list', '--json');
    expect(code).toBe(0);
    const { items, next } = JSON.parse(stdout) as { items: { id: string }[]; next: null };
    expect(items.map(({ id }) => id)).toEqual(ids);
    expect(next).toBeNull();
    expect((await run('devices', 'list')).stdout.trimEnd().split('\n')).toHaveLength(10_001);
  });

  it('does not follow a list that goes round in circles', async () => {
    answer = () => list([deviceView()], 'again');
    expect(await run('devices', 'list')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('in circles') });
    let page = 0;
    answer = () => list([], `cursor ${(page += 1)}`);
    expect(await run('devices', 'list')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('in circles') });
  });

  it('lists requests with the whole id and fingerprint, of one owner when a scope is given', async () => {
    answer = () => list([registrationView(), registrationView({ id: 'e'.repeat(32), owner: 'user:bob@example.com', name: 'other' })]);
    const all = await run('devices', 'list', '--pending');
    expect(all.stdout).toContain(`sha256:${'b'.repeat(64)}\n`);
    expect(all.stdout).toContain(REQUEST_ID);
    const own = await run('devices', 'list', '--pending', '--scope', 'user:Bob@example.com', '--json');
    expect((JSON.parse(own.stdout) as { items: { name: string }[] }).items.map(({ name }) => name)).toEqual(['other']);
  });

  it('shows a device, and takes device:NAME for the name', async () => {
    answer = () => ({ json: deviceView({ name: 'list' }) });
    const { code, stdout } = await run('devices', 'show', 'device:list');
    expect(code).toBe(0);
    expect(peer.requests[0]!.path).toBe('/v1/devices/list');
    for (const part of [DEVICE_ID, `sha256:${'b'.repeat(64)}`, 'raspberrypi', 'tls from 203.0.113.7', '/exec/1 /shell/1'])
      expect(stdout).toContain(part);
  });

  it('shows over which transport a device is linked and why, as far as the device says', async () => {
    const link = { transport: 'websocket', address: '203.0.113.7', since: '2026-11-22T00:00:00.000Z' };
    answer = () => ({ json: deviceView({ link: { ...link, transport_note: 'The upgrade is refused\u001b[2J on the way.' } }) });
    const told = await run('devices', 'show', 'pi');
    expect(told.stdout).toMatch(/^why websocket +The upgrade is refused\\u\{1b\}\[2J on the way\.$/m);
    answer = () => list([deviceView({ link: { ...link, transport_note: 'No UDP.' } })]);
    const { items } = JSON.parse((await run('devices', 'list', '--json')).stdout) as { items: { link: unknown }[] };
    expect(items[0]!.link).toEqual({ ...link, transport_note: 'No UDP.' });
    answer = () => ({ json: deviceView({ link }) });
    expect((await run('devices', 'show', 'pi')).stdout).not.toContain('why');
    answer = () => ({ json: deviceView({ link: { ...link, transport_note: 7 } }) });
    expect(await run('devices', 'show', 'pi')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('`transport_note` is not a text'),
    });
  });

  it('keeps a name within its part of the path', async () => {
    answer = () => ({ json: deviceView() });
    await run('devices', 'show', '../me?x=1#y');
    expect(peer.requests[0]!.path).toBe('/v1/devices/..%2Fme%3Fx%3D1%23y');
    for (const name of ['..', '.', '']) expect((await run('devices', 'remove', name)).code).toBe(2);
    expect(peer.requests.filter(({ method }) => method === 'DELETE')).toEqual([]);
  });

  it('approves by the id of the request or its beginning, never by what the device chose', async () => {
    answer = ({ method }) => (method === 'GET' ? list([registrationView()]) : { json: deviceView() });
    for (const text of [REQUEST_ID, 'ffffffff']) {
      const { code, stdout } = await run('devices', 'approve', text);
      expect({ code, path: peer.requests.at(-1)!.path }).toEqual({ code: 0, path: `/v1/registrations/${REQUEST_ID}/approve` });
      expect(stdout).toContain(`approved pi (${DEVICE_ID}), fingerprint sha256:`);
    }
    for (const chosen of ['pi', DEVICE_ID.slice(0, 12)]) {
      expect(await run('devices', 'approve', chosen)).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('--pending') });
    }
    expect(peer.requests.filter(({ method }) => method === 'POST')).toHaveLength(2);
  });

  it('names both requests when the beginning of an id fits two', async () => {
    answer = () => list([registrationView(), registrationView({ id: `ffffffff${'0'.repeat(24)}` })]);
    const { code, stderr } = await run('devices', 'approve', 'ffffffff');
    expect(code).toBe(2);
    expect(stderr).toContain(REQUEST_ID);
    expect(stderr).toContain(`ffffffff${'0'.repeat(24)}`);
  });

  it('rejects a request with its reason, and removes the device when it is enrolled already', async () => {
    answer = ({ method, path }) =>
      method === 'GET' ? list([registrationView()]) : path.includes('reject') ? { json: {} } : { status: 204, json: null };
    expect(await run('devices', 'reject', REQUEST_ID, '--reason', 'unknown serial')).toMatchObject({
      code: 0,
      stdout: `rejected ${REQUEST_ID}\n`,
    });
    expect(peer.requests.at(-1)).toMatchObject({ path: `/v1/registrations/${REQUEST_ID}/reject`, body: { reason: 'unknown serial' } });
    expect(await run('devices', 'reject', 'old-pi', '--reason', 'sold')).toMatchObject({ code: 0, stdout: 'removed old-pi\n' });
    expect(peer.requests.at(-1)).toMatchObject({ method: 'DELETE', path: '/v1/devices/old-pi' });
    expect(peer.requests.at(-1)!.query.get('reason')).toBe('sold');
  });

  it('removes a device, and rejects where it is still a request', async () => {
    let enrolled = true;
    answer = ({ method }) => {
      if (method === 'GET') return list([registrationView()]);
      if (method === 'POST') return { json: registrationView({ state: 'rejected' }) };
      return enrolled ? { status: 204, json: null } : failure(404, 'not_found', 'No such device.');
    };
    expect(await run('devices', 'remove', DEVICE_ID, '--json')).toMatchObject({ code: 0, stdout: expect.stringContaining('"removed"') });
    enrolled = false;
    expect(JSON.parse((await run('devices', 'remove', DEVICE_ID, '--json')).stdout)).toEqual({ rejected: REQUEST_ID });
    expect(await run('devices', 'remove', 'nothing-like-it')).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('No such device.'),
    });
  });

  it('renames and rotates', async () => {
    answer = ({ method }) => ({ json: method === 'PATCH' ? deviceView({ name: 'attic' }) : { key_id: '2'.repeat(16) } });
    expect(await run('devices', 'rename', 'pi', 'attic')).toMatchObject({ code: 0, stdout: `renamed ${DEVICE_ID} to attic\n` });
    expect(peer.requests.at(-1)).toMatchObject({ method: 'PATCH', path: '/v1/devices/pi', body: { name: 'attic' } });
    expect(JSON.parse((await run('devices', 'rotate', 'pi', '--json')).stdout)).toEqual({ key_id: '2'.repeat(16) });
    expect(peer.requests.at(-1)).toMatchObject({ method: 'POST', path: '/v1/devices/pi/rotate' });
  });

  it.each([
    ['unauthenticated', 401, 3],
    ['forbidden', 403, 3],
    ['not_found', 404, 4],
    ['ambiguous', 409, 2],
    ['device_offline', 503, 5],
    ['conflict', 409, 1],
    ['of_a_later_version', 418, 1],
  ])('ends with the exit code of %s, the relay’s words and hint on stderr', async (code, status, exit) => {
    answer = () => failure(status, code, `It is ${code}.`, 'Look here.');
    expect(await run('devices', 'show', 'pi')).toEqual({ code: exit, stdout: '', stderr: `towline: It is ${code}.\n  Look here.\n` });
    const json = await run('--json', 'devices', 'show', 'pi');
    expect(json).toMatchObject({ code: exit, stdout: '' });
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { message: `It is ${code}.`, hint: 'Look here.' } });
    expect(json.stderr.trimEnd()).not.toContain('\n');
  });
});
