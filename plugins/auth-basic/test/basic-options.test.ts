import { describe, expect, it } from 'vitest';
import { cheapHash, checkOptions, PASSWORD } from './fixture.ts';

const HASH = cheapHash(PASSWORD);
const [, , , , SALT, KEY] = HASH.split('$') as [string, string, string, string, string, string];
const withHash = (password_hash: unknown) => ({ users: [{ username: 'alice', password_hash }] });
const withUser = (more: object) => ({ users: [{ username: 'alice', password_hash: HASH, ...more }] });
const named = (...names: string[]) => ({ users: names.map((username) => ({ username, password_hash: HASH })) });
const MALFORMED = /^users\.0\.password_hash: expected a hash as `towline-relay hash-password` prints it$/;

describe('a malformed hash stops the start:', () => {
  it.each<[string, unknown]>([
    ['none', undefined],
    ['a number', 12_345],
    ['the password itself', PASSWORD],
    ['an empty text', ''],
    ['of another scheme', '$2b$12$abcdefghijklmnopqrstuv'],
    ['without key', `scrypt$16384$8$1$${SALT}`],
    ['with an empty salt', `scrypt$16384$8$1$$${KEY}`],
    ['with a short key', `scrypt$16384$8$1$${SALT}$${KEY.slice(0, 20)}`],
    ['with a part too many', `${HASH}$x`],
    ['with a line break', `${HASH}\n`],
    ['in base64 with padding', `scrypt$16384$8$1$${SALT}==$${KEY}=`],
    ['with N that is no power of two', `scrypt$20000$8$1$${SALT}$${KEY}`],
    ['with N of 1', `scrypt$1$8$1$${SALT}$${KEY}`],
    ['with N that is cheap to guess', `scrypt$8192$8$1$${SALT}$${KEY}`],
    ['with N that takes all memory', `scrypt$1073741824$8$1$${SALT}$${KEY}`],
    ['with r that takes all memory', `scrypt$131072$99$1$${SALT}$${KEY}`],
    ['with p that takes all time', `scrypt$16384$8$99$${SALT}$${KEY}`],
    ['with N in words', `scrypt$1e5$8$1$${SALT}$${KEY}`],
  ])('%s', async (_, hash) => expect((await checkOptions(withHash(hash))).faults).toEqual([expect.stringMatching(MALFORMED)]));
});

describe('options that cannot be meant', () => {
  it.each<[string, unknown, RegExp]>([
    ['nobody', {}, /^: expected users, found none$/],
    ['an empty list', { users: [] }, /^users: expected at least one user$/],
    ['a name twice', named('alice', 'bob', 'alice'), /^users\.2\.username: expected each user once, found the name of users\.0$/],
    ['one name in two forms', named('zo\u00eb', 'zoe\u0308'), /^users\.1\.username: expected each user once/],
    ['an empty name', named(''), /^users\.0\.username: expected a user name/],
    ['a name with a colon', named('a:b'), /^users\.0\.username: expected a user name .* without colon/],
    ['a name with a line break', named('a\nb'), /^users\.0\.username: expected a user name/],
    ['a name that turns its text around', named('a\u202eb'), /^users\.0\.username: expected a user name/],
    ['a name with space at its end', named('alice '), /^users\.0\.username: expected a user name/],
    ['a name that is too long', named('x'.repeat(129)), /^users\.0\.username: expected a user name/],
    ['an address that is none', withUser({ email: 'alice' }), /^users\.0\.email: expected an e-mail address$/],
    ['a scope that is none', withUser({ scopes: [{ scope: 'all', role: 'admin' }] }), /scope: expected user:EMAIL or org:ID$/],
    ['a role that is none', withUser({ scopes: [{ scope: 'org:acme', role: 'owner' }] }), /role: expected viewer, operator or admin$/],
    ['admin in words', withUser({ admin: 'yes' }), /^users\.0\.admin: expected true or false$/],
    ['a password in plain in the list', { users: [{ username: 'alice', password: PASSWORD }] }, /password_hash: expected a hash/],
    ['both forms', { ...withHash(HASH), username: 'bob', password: PASSWORD }, /found both$/],
    ['a password without name', { password: PASSWORD }, /^username: expected a user name/],
    ['a name without password', { username: 'alice' }, /^password: expected a password .* found nothing$/],
  ])('%s', async (_, options, expected) => {
    const { faults } = await checkOptions(options);
    expect(faults).toContainEqual(expect.stringMatching(expected));
    expect(faults.join()).not.toContain(PASSWORD);
  });
});

describe('a password in plain', () => {
  const faultsOf = async (password: unknown, username = 'alice') => (await checkOptions({ username, password })).faults;

  it.each(['', 'admin', 'password', 'changeme', 'towline', 'hunter2', 'elevenchars'])('%j is too short', async (password) => {
    const faults = await faultsOf(password);
    expect(faults).toEqual([
      expect.stringMatching(/^password: expected a password of at least 12 characters.*found (an empty text|a text of \d+ characters)$/),
    ]);
    if (password !== '') expect(faults.join()).not.toContain(`found ${password}`);
  });

  it.each([
    'adminadminadmin',
    'passwordpassword',
    'Password123456',
    'changeme-changeme',
    'ChangeMe!1234567',
    'towline-relay-admin',
    '123456789012',
    'qwertyuiop12345',
    'supersecretpassword',
    'aaaaaaaaaaaaaaaa',
    'abababababababab',
  ])('%j is one that everybody tries', async (password) => {
    expect(await faultsOf(password)).toEqual([
      expect.stringMatching(/found a (password that everybody tries first|text that repeats itself)$/),
    ]);
  });

  it('equal to the name of the user, or made of it, is refused', async () => {
    expect(await faultsOf('maximilian.mustermann', 'Maximilian.Mustermann')).toEqual([expect.stringContaining('everybody tries first')]);
    expect(await faultsOf('maximilian.mustermann-123', 'maximilian.mustermann')).toHaveLength(1);
  });

  it('with control characters, or without end, is refused', async () => {
    expect(await faultsOf('kettle\norbit-39-salmon')).toEqual([expect.stringContaining('found a text with control characters')]);
    expect(await faultsOf(`${PASSWORD}-`.repeat(60))).toEqual([expect.stringContaining('where 1024 are allowed')]);
  });

  it.each([PASSWORD, 'correct horse battery staple', 'v7Q#m2!xLp9z', 'пароль-из-слов', '正しい馬の電池、それとも別の何か'])(
    '%j is taken',
    async (password) => {
      expect(await faultsOf(password)).toEqual([]);
    },
  );
});
