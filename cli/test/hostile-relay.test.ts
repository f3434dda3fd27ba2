import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { collect, makeUser, USER_KEY, type User } from './run-cli.ts';
import {
  accessView,
  auditView,
  deviceView,
  KEY_ID,
  keyView,
  memberView,
  meView,
  orgView,
  registrationView,
  sessionView,
  USER_ID,
  userView,
} from './views.ts';

/** Everything a terminal could obey: controls, C1 controls, bidirectional overrides, line separators. */
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const EVIL = '\u001b]0;owned\u0007\u001b[2J\u009b31m\u202epi\r\n\u2028x';

describe('a relay or device that means harm, or is none', () => {
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
  const env = () => ({ TOWLINE_RELAY: peer.url, TOWLINE_API_KEY: USER_KEY });
  const run = (...args: string[]) => user.run(args, { env: env() });

  /** The same object with every text replaced. */
  const poisoned = (view: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(view).map(([key, value]) => [
        key,
        typeof value === 'string'
          ? EVIL
          : Array.isArray(value)
            ? value.map((each) => (typeof each === 'string' ? EVIL : poisoned(each as Record<string, unknown>)))
            : typeof value === 'object' && value !== null
              ? poisoned(value as Record<string, unknown>)
              : value,
      ]),
    );

  it.each([
    ['devices list', ['devices', 'list'], () => list([poisoned(deviceView())])],
    ['devices list --pending', ['devices', 'list', '--pending'], () => list([poisoned(registrationView())])],
    ['devices show', ['devices', 'show', 'pi'], () => ({ json: poisoned(deviceView()) })],
    ['devices rename', ['devices', 'rename', 'pi', 'po'], () => ({ json: poisoned(deviceView()) })],
    ['devices rotate', ['devices', 'rotate', 'pi'], () => ({ json: { key_id: EVIL } })],
    ['DEVICE status', ['pi', 'status'], () => ({ json: poisoned(deviceView()) })],
    ['DEVICE sessions', ['pi', 'sessions'], () => list([poisoned(sessionView())])],
    [
      'DEVICE audit --details',
      ['pi', 'audit', '--details', '--limit', '1'],
      () => list([poisoned(auditView({ detail: { [EVIL]: EVIL, deep: { [EVIL]: [EVIL] } } }))], EVIL),
    ],
    ['audit', ['audit'], () => list([poisoned(auditView())])],
    ['whoami', ['whoami'], () => ({ json: poisoned(meView()) })],
    ['devices access', ['devices', 'access', 'pi'], () => ({ json: poisoned(accessView()) })],
    ['devices transfer', ['devices', 'transfer', 'pi', 'org:acme'], () => ({ json: poisoned(deviceView()) })],
    ['users list', ['users', 'list'], () => list([poisoned(userView())])],
    ['users disable', ['users', 'disable', USER_ID], () => ({ json: poisoned(userView()) })],
    ['orgs create', ['orgs', 'create', 'acme'], () => ({ json: poisoned(orgView()) })],
    ['orgs list', ['orgs', 'list'], () => list([poisoned(orgView())])],
    ['orgs show', ['orgs', 'show', 'acme'], () => ({ json: poisoned(orgView()) })],
    ['orgs members list', ['orgs', 'members', 'list', 'acme'], () => list([poisoned(memberView())])],
    ['orgs members add', ['orgs', 'members', 'add', 'acme', 'bob@example.com'], () => ({ json: poisoned(memberView()) })],
    ['keys list', ['keys', 'list', '--revoked'], () => list([poisoned(keyView())])],
    ['keys create', ['keys', 'create'], () => ({ json: { id: KEY_ID, key: EVIL } })],
    ['doctor', ['doctor'], () => failure(403, 'forbidden', EVIL, EVIL)],
    ['an error', ['whoami'], () => failure(403, 'forbidden', EVIL, EVIL)],
  ])('shows nothing a terminal would obey: %s', async (_what, args, hostile) => {
    answer = (request) => (request.query.has('cursor') ? list([]) : hostile());
    for (const extra of [['-v'], ['--json']]) {
      const { stdout, stderr } = await run(...args, ...extra);
      expect(`${stdout}${stderr}`).not.toMatch(OBEYED);
      expect(`${stdout}${stderr}`).toMatch(/\\u(\{1b\}|001b)/);
    }
  });

  it('still gives the exact text in JSON', async () => {
    answer = () => list([deviceView({ name: EVIL })]);
    const { items } = JSON.parse((await run('devices', 'list', '--json')).stdout) as { items: { name: string }[] };
    expect(items[0]!.name).toBe(EVIL);
  });

  it('cuts a name that would fill the screen', async () => {
    answer = () => list([deviceView({ name: 'x'.repeat(100_000) })]);
    expect((await run('devices', 'list')).stdout.length).toBeLessThan(1_000);
  });

  it.each([
    ['HTML', (r) => r.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>'), 'not a Towline relay'],
    [
      'an error page of a proxy',
      (r) => r.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad gateway</h1>'),
      'not a Towline relay',
    ],
    ['broken JSON', (r) => r.writeHead(200, { 'content-type': 'application/json' }).end('{"items": ['), 'not JSON'],
    ['a redirect', (r) => r.writeHead(302, { location: 'https://evil.example/' }).end(), 'redirect'],
    ['a list that is none', { json: { items: 'many', next: null } }, 'a list'],
    ['an item that is none', { json: { items: [null], next: null } }, 'not an object'],
    ['a device whose name is an object', { json: { items: [deviceView({ name: {} })], next: null } }, '`name` is not a text'],
    ['a device without facts', { json: { items: [deviceView({ facts: null })], next: null } }, '`facts` is not an object'],
    ['an array', { json: [] }, 'not an object'],
    ['nothing', { status: 204, json: null }, 'not an object'],
    ['a connection that ends at once', (r) => r.socket?.destroy(), 'closed the connection'],
  ] satisfies [string, Answer, string][])('explains %s', async (_what, given, part) => {
    answer = () => given;
    const { code, stdout, stderr } = await run('devices', 'list');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(part);
    expect(stderr).not.toContain('fault of the program');
    expect(stderr).not.toContain(USER_KEY);
  });

  it('gives up on an endless answer without holding it', async () => {
    answer = () => (response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (response.write(Buffer.alloc(1_048_576, 0x20)));
      };
      response.on('drain', more);
      more();
    };
    expect(await run('devices', 'list')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('bytes') });
  });

  it('ends at once with 130 when it is interrupted while the relay is slow', async () => {
    const asked = new Promise<void>((resolve) => {
      answer = () => () => resolve();
    });
    const child = user.start(['devices', 'list'], { env: env() });
    const outcome = collect(child);
    await asked;
    child.kill('SIGINT');
    expect(await outcome).toEqual({ code: 130, stdout: '', stderr: expect.stringMatching(/^towline: Interrupted\./) });
  });

  it('ends quietly when nobody reads its output any more', async () => {
    answer = () => list(Array.from({ length: 500 }, () => deviceView({ name: 'x'.repeat(60) })));
    const child = user.start(['devices', 'list', '--json'], { env: env() });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(stderr).toBe('');
  });
});
