import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readCredentials, type UserCredentials, updateCredentials } from '../src/user-files/index.ts';
import { scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const DEVICE = { api_key: `twl_d_${'1'.repeat(16)}_${'a'.repeat(64)}` };
const token = (more: object) => ({ OAuth2Token: { access_token: 'abc', ...more } }) as UserCredentials;

it.each([
  ['an audience without text', token({ audience: '' }), /"audience" that is no text/],
  ['a time without end', token({ expires_at: Number.POSITIVE_INFINITY }), /"expires_at" that is no number/],
  ['more than is read again', token({ refresh_token: 'r'.repeat(1_100_000) }), /bytes, where at most/],
])('%s is not written over credentials that can be read', async (_what, credentials, message) => {
  const dir = scratch();
  await updateCredentials(dir, () => ({ device_credentials: DEVICE }));
  const path = join(dir, 'credentials.json');
  const before = await readFile(path, 'utf8');
  const writing = updateCredentials(dir, (present) => ({ ...present, credentials }));
  await expect(writing).rejects.toMatchObject({ code: 'data_unwritable', message: expect.stringMatching(message) });
  expect(await readFile(path, 'utf8')).toBe(before);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await readCredentials(dir)).device_credentials).toEqual(DEVICE);
});
