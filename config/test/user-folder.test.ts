import { chmodSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { apiKeyOfEnvironment, ensureUserFolder, userFolder } from '../src/user-files/index.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();

describe('the folder of a user', () => {
  test.each([
    [{ TOWLINE_CONFIG_DIR: '/t', XDG_CONFIG_HOME: '/x', HOME: '/h' }, '/t'],
    [{ XDG_CONFIG_HOME: '/x', HOME: '/h' }, '/x/towline'],
    [{ XDG_CONFIG_HOME: 'relative', HOME: '/h' }, '/h/.config/towline'],
    [{ TOWLINE_CONFIG_DIR: '', XDG_CONFIG_HOME: '', HOME: '/h' }, '/h/.config/towline'],
    [{}, join(homedir(), '.config/towline')],
    [{ HOME: '/h', TOWLINE_PROFILE: 'work' }, '/h/.config/towline/profiles/work'],
    [{ HOME: '/h', TOWLINE_PROFILE: '' }, '/h/.config/towline'],
  ])('for %j is %s', (env, dir) => expect(userFolder({ env })).toBe(dir));

  test('is that of the profile on the command line before that of the variable', () => {
    expect(userFolder({ env: { HOME: '/h', TOWLINE_PROFILE: 'work' }, profile: 'home' })).toBe('/h/.config/towline/profiles/home');
  });

  test.each(['..', '.', '../x', 'a/b', '/etc', '-x', 'a b', 'a\n', '\u001b[2J', 'x'.repeat(65)])(
    'is not that of the profile %j',
    (profile) => {
      expect(() => userFolder({ env: {}, profile })).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );

  test('is made for its owner alone, with its parents', async () => {
    const dir = join(scratch(), 'a', 'profiles', 'b');
    await ensureUserFolder(dir);
    await ensureUserFolder(dir);
    for (const each of [dir, join(dir, '..'), join(dir, '../..')]) expect(statSync(each).mode & 0o777).toBe(0o700);
  });

  test('is refused where others can replace files in it', async () => {
    const dir = scratch();
    chmodSync(dir, 0o770);
    await expect(ensureUserFolder(dir)).rejects.toMatchObject({
      code: 'credentials_unsafe',
      message: `Others can replace files in the folder ${dir} (mode 0770).`,
      hint: expect.stringContaining(`chmod 700 ${dir}`),
    });
    chmodSync(dir, 0o1777);
    await ensureUserFolder(dir);
  });

  test('below a file cannot be made, and says so', async () => {
    const file = put(join(scratch(), 'file'), '');
    await expect(ensureUserFolder(join(file, 'towline'))).rejects.toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining('ENOTDIR'),
    });
  });
});

describe('the API key of the environment', () => {
  test('is read by either name, directly or from a file', () => {
    const file = put(join(scratch(), 'key'), 'twl_u_file\n');
    expect(apiKeyOfEnvironment({})).toBeUndefined();
    expect(apiKeyOfEnvironment({ TOWLINE_API_KEY: 'a', M87_API_KEY: 'b' })).toBe('a');
    expect(apiKeyOfEnvironment({ M87_API_KEY: 'b' })).toBe('b');
    expect(apiKeyOfEnvironment({ TOWLINE_API_KEY_FILE: file, M87_API_KEY: 'b' })).toBe('twl_u_file');
    expect(apiKeyOfEnvironment({ M87_API_KEY_FILE: file })).toBe('twl_u_file');
  });

  test.each([
    { TOWLINE_API_KEY: '' },
    { TOWLINE_API_KEY_FILE: '/nowhere/key' },
    { TOWLINE_API_KEY: 'hunter2', TOWLINE_API_KEY_FILE: '/x' },
  ])('as in %j is refused', (env) => {
    const read = () => apiKeyOfEnvironment(env);
    expect(read).toThrow(expect.objectContaining({ code: 'config_invalid' }));
    expect(read).not.toThrow(/hunter2/);
  });
});
