import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY, type User } from './run-cli.ts';
import { auditView, DEVICE_ID, deviceView, SESSION_ID, sessionView } from './views.ts';

describe('what can be asked about a device', () => {
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
  const run = (...args: string[]) => user.run(args, { env: { TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY } });

  it('status ends with 0 when the device is online and with 5 when it is not', async () => {
    answer = () => ({ json: deviceView() });
    expect(await run('pi', 'status')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^state +online$/m) });
    answer = () => ({ json: deviceView({ online: false, link: null, serves: [] }) });
    expect(await run('pi', 'status')).toMatchObject({ code: 5, stdout: expect.stringMatching(/^state +offline$/m) });
    expect(JSON.parse((await run('pi', 'status', '--json')).stdout)).toMatchObject({ online: false });
  });

  it('device:NAME reaches a device that has the name of a command', async () => {
    answer = () => ({ json: deviceView({ name: 'audit' }) });
    expect((await run('device:audit', 'status')).code).toBe(0);
    expect(peer.requests[0]!.path).toBe('/v1/devices/audit');
  });

  it('a name with a blank is one word', async () => {
    answer = () => ({ json: deviceView() });
    await run('attic pi', 'status');
    expect(peer.requests[0]!.path).toBe('/v1/devices/attic%20pi');
  });

  it('two devices of one name are an error that lists both', async () => {
    answer = () => failure(409, 'ambiguous', `“pi” fits ${DEVICE_ID} and ${'9'.repeat(32)}.`);
    const { code, stderr } = await run('pi', 'status');
    expect(code).toBe(2);
    expect(stderr).toContain(DEVICE_ID);
    expect(stderr).toContain('9'.repeat(32));
  });

  it('sessions are listed, and one is ended by the beginning of its id', async () => {
    answer = ({ method }) => (method === 'GET' ? list([sessionView(), sessionView({ id: 'e'.repeat(32) })]) : { status: 204, json: null });
    expect((await run('pi', 'sessions')).stdout).toContain('sleep 100');
    expect(await run('pi', 'sessions', '--end', 'dddd')).toMatchObject({ code: 0, stdout: expect.stringContaining(SESSION_ID) });
    expect(peer.requests.at(-1)).toMatchObject({ method: 'DELETE', path: `/v1/sessions/${SESSION_ID}` });
  });

  it('no session is ended that is not one of the device, or that is not clear', async () => {
    answer = () => list([sessionView(), sessionView({ id: `dddd${'0'.repeat(28)}` })]);
    expect((await run('pi', 'sessions', '--end', 'f'.repeat(32))).code).toBe(4);
    expect((await run('pi', 'sessions', '--end', 'd')).code).toBe(4);
    expect(await run('pi', 'sessions', '--end', 'dddd')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`dddd${'0'.repeat(28)}`),
    });
    expect(peer.requests.every(({ method }) => method === 'GET')).toBe(true);
  });
});

describe('audit', () => {
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
  const run = (...args: string[]) => user.run(args, { env: { TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY } });

  it('prints one line a record', async () => {
    answer = () =>
      list([auditView(), auditView({ number: 6, action: 'login', device: null, outcome: 'refused', reason: 'key_revoked', detail: null })]);
    expect((await run('audit')).stdout.split('\n')).toEqual([
      'TIME                  WHO                ACTION          DEVICE  OUTCOME',
      '2026-11-22T00:00:00Z  alice@example.com  session.closed  pi      ok (exited)',
      '2026-11-22T00:00:00Z  alice@example.com  login           -       refused (key_revoked)',
      '',
    ]);
  });

  it('adds with --details who, from where, how long, how much, and what', async () => {
    answer = () => list([auditView()]);
    const { stdout } = await run('pi', 'audit', '--details');
    for (const part of [
      'from 198.51.100.9',
      SESSION_ID,
      '/exec/1',
      'took 1.2s',
      '12 B to the device',
      '3.4 kB from it',
      'exit code 0',
      'reported by device',
      'command: ls -la',
    ]) {
      expect(stdout).toContain(part);
    }
    expect(peer.requests[0]!.query.get('device')).toBe('pi');
  });

  it('hands all filters to the relay, times as RFC 3339 in UTC', async () => {
    answer = () => list([]);
    const before = Date.now();
    await run(
      'audit',
      '--device',
      'device:pi',
      '--user',
      'bob@example.com',
      '--action',
      'session',
      '--since',
      '2h',
      '--until',
      '2026-11-22T09:00:00+01:00',
      '--limit',
      '7',
    );
    const { query } = peer.requests[0]!;
    const since = Date.parse(query.get('since')!);
    expect(since).toBeGreaterThanOrEqual(before - 2 * 3_600_000);
    expect(since).toBeLessThanOrEqual(Date.now() - 2 * 3_600_000);
    query.delete('since');
    expect(Object.fromEntries(query)).toEqual({
      device: 'pi',
      user: 'bob@example.com',
      action: 'session',
      until: '2026-11-22T08:00:00.000Z',
      limit: '7',
      order: 'descending',
    });
  });

  it('stops at the limit over several pages and says how to go on', async () => {
    answer = ({ query }) => {
      const from = Number(query.get('cursor') ?? 0);
      const items = Array.from({ length: Math.min(500, Number(query.get('limit'))) }, (_, at) => auditView({ number: from + at }));
      return list(items, String(from + items.length));
    };
    const { stdout } = await run('audit', '--limit', '700', '--json');
    const { items, next } = JSON.parse(stdout) as { items: { number: number }[]; next: string };
    expect(items.map(({ number }) => number)).toEqual(Array.from({ length: 700 }, (_, at) => at));
    expect(next).toBe('700');
    const more = await run('audit', '--cursor', next, '--limit', '1');
    expect(peer.requests.at(-1)!.query.get('cursor')).toBe('700');
    expect(more.stderr).toContain('--cursor 701');
  });
});
