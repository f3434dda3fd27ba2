import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answers, onTerminal } from './login-terminal.ts';
import { type Answer, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY, type User } from './run-cli.ts';
import { meView } from './views.ts';

const VALUE = 'typed-by-a-person';
const view = (extra: Record<string, unknown> = {}) => ({
  scope: 'user:alice@example.com',
  name: 'TOKEN',
  created_at: '2026-11-22T00:00:00.000Z',
  created_by: 'alice@example.com',
  updated_at: '2026-11-22T01:00:00.000Z',
  updated_by: 'alice@example.com',
  ...extra,
});

/** A relay with one secret, and whoever `me` is. */
const relayOf =
  (me = meView()) =>
  ({ method, path }: SeenRequest): Answer => {
    if (path === '/v1/me') return { json: me };
    if (method === 'PUT') return { json: view() };
    if (method === 'DELETE') return (response) => response.writeHead(204).end();
    return list([view(), view({ name: 'OTHER', updated_by: '\u001b[31mmallory' })]);
  };

const run = (user: User, peer: RelayPeer, words: readonly string[], input?: string) =>
  user.run(['--relay', peer.url, 'secrets', ...words], { env: { TOWLINE_API_KEY: USER_KEY }, ...(input === undefined ? {} : { input }) });
const calls = ({ requests }: RelayPeer) => requests.map(({ method, path, body }) => [method, decodeURIComponent(path), body]);

describe('towline secrets set', () => {
  it('sends what is piped in without one newline, to the user’s own scope', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const finished = await run(user, peer, ['set', 'TOKEN'], 'two\nlines\n\n');
    expect(finished).toEqual({ code: 0, stdout: 'set TOKEN of user:alice@example.com\n', stderr: '' });
    expect(calls(peer)).toEqual([
      ['GET', '/v1/me', undefined],
      ['PUT', '/v1/secrets/user:alice@example.com/TOKEN', { value: 'two\nlines\n' }],
    ]);
  });

  it('sends it to another scope, for which nobody asks who the user is', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const { code, stdout } = await run(user, peer, ['set', 'TOKEN', '--scope', 'org:acme', '--json'], 'x');
    expect({ code, document: JSON.parse(stdout) }).toEqual({ code: 0, document: view() });
    expect(calls(peer)).toEqual([['PUT', '/v1/secrets/org:acme/TOKEN', { value: 'x' }]]);
  });

  it('asks on a terminal, which shows nothing of it, and takes back what is rubbed out', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const env = { TOWLINE_CONFIG_DIR: user.dir, TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem'), TOWLINE_API_KEY: USER_KEY };
    const { code, shown } = await onTerminal(['--relay', peer.url, 'secrets', 'set', 'TOKEN'], {
      env,
      type: answers(['Value of TOKEN (not shown): ', `${VALUE}x\u007f\r`]),
    });
    expect({ code, shown }).toMatchObject({ code: 0, shown: expect.stringContaining('set TOKEN of') });
    expect(shown).not.toContain('typed');
    expect(calls(peer).at(-1)).toEqual(['PUT', '/v1/secrets/user:alice@example.com/TOKEN', { value: VALUE }]);
  });

  it('takes a long line from a terminal whole, and none that is too long', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const env = { TOWLINE_CONFIG_DIR: user.dir, TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem'), TOWLINE_API_KEY: USER_KEY };
    const type = (length: number) =>
      onTerminal(['--relay', peer.url, 'secrets', 'set', 'TOKEN'], { env, type: answers(['(not shown): ', `${'y'.repeat(length)}\r`]) });
    expect((await type(16_384)).code).toBe(0);
    expect(calls(peer).at(-1)![2]).toEqual({ value: 'y'.repeat(16_384) });
    const before = peer.requests.length;
    expect(await type(20_000)).toMatchObject({ code: 2, shown: expect.stringContaining('at most 16384 bytes') });
    expect(peer.requests.slice(before).map(({ method }) => method)).toEqual(['GET']);
  });

  it.each([
    ['three lines', 1],
    ['more than a terminal holds at once', 800],
  ])('takes no part of what is pasted in several lines, and leaves none of it to the shell: %s', async (_much, times) => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const env = { TOWLINE_CONFIG_DIR: user.dir, TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem'), TOWLINE_API_KEY: USER_KEY };
    const pasted = `BEGIN KEY\r${'of several lines\r'.repeat(times)}END KEY\r`;
    const type = answers(['(not shown): ', pasted]);
    const { code, shown } = await onTerminal(['--relay', peer.url, 'secrets', 'set', 'TOKEN'], { env, type });
    expect({ code, shown }).toMatchObject({ code: 2, shown: expect.stringMatching(/more than one line, and only one/) });
    expect(shown).not.toMatch(/of several|END KEY/);
    expect(peer.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it('is left by Ctrl-C with 130, and nothing is set', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const env = { TOWLINE_CONFIG_DIR: user.dir, TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem'), TOWLINE_API_KEY: USER_KEY };
    const { code } = await onTerminal(['--relay', peer.url, 'secrets', 'set', 'TOKEN'], {
      env,
      type: answers(['(not shown): ', 'half\u0003']),
    });
    expect(code).toBe(130);
    expect(peer.requests.map(({ method }) => method)).toEqual(['GET']);
  });

  it.each([
    [['set', 'PATH'], 'x', 'PATH is refused as the name of a secret'],
    [['set', '1A'], 'x', 'The name of a secret has 1 to 128'],
    [['set', `TOKEN=${VALUE}`], 'x', 'does not belong on the command line'],
    [['set', 'TOKEN', VALUE], 'x', 'Too many arguments'],
    [['set', 'TOKEN', '--scope', 'acme'], 'x', 'is no scope'],
    [['set'], 'x', 'name'],
  ])('%j is a wrong use, and nothing is sent', async (words, input, text) => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const { code, stdout, stderr } = await run(user, peer, words, input);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
    expect(stderr).not.toContain(VALUE);
    expect(peer.requests).toEqual([]);
  });

  it.each([
    ['nothing', '', 'a secret cannot be empty'],
    ['a newline alone', '\n', 'a secret cannot be empty'],
    ['a NUL', `${VALUE}\0`, 'cannot hold a NUL'],
    ['too much', `${VALUE}${'x'.repeat(16_384)}`, 'longer than 16384 bytes'],
    ['one byte too much', 'x'.repeat(16_385), 'at most 16384 bytes, and this one has 16385'],
  ])('with %s on stdin sets nothing, and repeats nothing of it', async (_what, input, text) => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const { code, stdout, stderr } = await run(user, peer, ['set', 'TOKEN', '--scope', 'org:acme'], input);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(text);
    expect(stderr).not.toContain(VALUE);
    expect(peer.requests).toEqual([]);
  });

  it('says so where the user has no scope of their own', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf(meView({ email: null, email_note: 'The address is not verified.' })));
    for (const words of [['set', 'TOKEN'], ['list'], ['remove', 'TOKEN']]) {
      const { code, stderr } = await run(user, peer, words, 'x');
      expect(code).toBe(2);
      expect(stderr).toContain('You have no scope of your own here');
      expect(stderr).toContain('--scope org:ID. The address is not verified.');
    }
    expect(new Set(peer.requests.map(({ path }) => path))).toEqual(new Set(['/v1/me']));
  });
});

describe('towline secrets list and remove', () => {
  it('show names, and what came from others without its control characters', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const { code, stdout } = await run(user, peer, ['list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^NAME +SCOPE +SET +BY\nTOKEN +user:alice@example.com .* ago +alice@example.com\nOTHER /);
    expect(stdout).not.toContain('\u001b');
    expect(peer.requests.at(-1)!.query.get('scope')).toBe('user:alice@example.com');
    const json = await run(user, peer, ['list', '--scope', 'org:acme', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ items: [view(), { name: 'OTHER' }], next: null });
    expect(peer.requests.at(-1)!.query.get('scope')).toBe('org:acme');
  });

  it('remove one, whose name goes into the path as one word', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    expect(await run(user, peer, ['remove', 'TOKEN'])).toMatchObject({ code: 0, stdout: 'removed TOKEN of user:alice@example.com\n' });
    const { stdout } = await run(user, peer, ['remove', 'A/../B', '--scope', 'org:acme', '--json']);
    expect(JSON.parse(stdout)).toEqual({ removed: 'A/../B', scope: 'org:acme' });
    expect(peer.requests.at(-1)!.path).toBe('/v1/secrets/org%3Aacme/A%2F..%2FB');
  });

  it('take no answer that is none', async () => {
    await using user = await makeUser();
    await using peer = await startPeer(({ path }) => (path === '/v1/me' ? { json: meView() } : list([{ name: 7 }])));
    expect(await run(user, peer, ['list'])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('not valid') });
  });
});

describe('--secret of exec', () => {
  it.each([
    [['PATH'], 'PATH is refused as the name of a secret'],
    [['A=b'], 'the name of a secret has 1 to 128'],
    [['acme/A'], 'expected NAME, or user:EMAIL/NAME or org:ID/NAME'],
    [['A', 'org:acme/A'], 'the secret A is asked for twice'],
    [Array.from({ length: 51 }, (_, at) => `N${at}`), 'at most 50'],
  ])('%# is a wrong use, and no link is made', async (names, text) => {
    await using user = await makeUser();
    await using peer = await startPeer(relayOf());
    const words = ['pi', 'exec', ...names.flatMap((name) => ['--secret', name]), '--', 'true'];
    const { code, stderr } = await user.run(['--relay', peer.url, ...words], { env: { TOWLINE_API_KEY: USER_KEY } });
    expect(code).toBe(255);
    expect(stderr).toContain(text);
    expect(peer.requests).toEqual([]);
  });
});
