import { chmodSync, lchownSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf, parsePrivateKey, parsePublicKey, signText, verifyText } from '@towline/protocol';
import { describe, expect, test } from 'vitest';
import {
  createDeviceIdentity,
  ensureDeviceState,
  readCredentials,
  readDeviceState,
  readUserConfig,
  updateCredentials,
  updateDeviceState,
  updateUserConfig,
} from '../src/user-files/index.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const KEY = 'twl_u_0123456789abcdef_hunter2';

describe('credentials.json', () => {
  test('that is missing is empty, and nothing is made by reading', async () => {
    const dir = scratch();
    expect(await readCredentials(dir)).toEqual({});
    expect(await readCredentials(join(dir, 'none'))).toEqual({});
    expect(readdirSync(dir)).toEqual([]);
  });

  test('keeps user and device apart, for its owner alone, and leaves nothing else behind', async () => {
    const dir = join(scratch(), 'towline');
    await updateCredentials(dir, (present) => ({ ...present, credentials: { APIKey: { api_key: KEY } } }));
    await updateCredentials(dir, (present) => ({ ...present, device_credentials: { api_key: 'twl_d_x' } }));
    const path = join(dir, 'credentials.json');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      credentials: { APIKey: { api_key: KEY } },
      device_credentials: { api_key: 'twl_d_x' },
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(dir)).toEqual(['credentials.json']);
  });

  test('keeps what another version wrote', async () => {
    const dir = scratch();
    const other = { credentials: { OAuth2Token: { access_token: 'a', refresh_token: 'b', expires_at: 1 }, Later: { x: 1 } }, later: [1] };
    put(join(dir, 'credentials.json'), JSON.stringify(other));
    await updateCredentials(dir, (present) => ({ ...present, device_credentials: { api_key: 'k' } }));
    expect(await readCredentials(dir)).toEqual({ ...other, device_credentials: { api_key: 'k' } });
  });

  test.each([0o640, 0o604, 0o644, 0o660, 0o666])('of mode %o is refused with the mode and what to do', async (mode) => {
    const dir = scratch();
    const path = put(join(dir, 'credentials.json'), '{}', mode);
    const refused = {
      code: 'credentials_unsafe',
      message: `${path} can be read by others (mode 0${mode.toString(8)}).`,
      hint: expect.stringContaining(`chmod 600 ${path}`),
    };
    await expect(readCredentials(dir)).rejects.toMatchObject(refused);
    await expect(updateCredentials(dir, () => ({}))).rejects.toMatchObject(refused);
    chmodSync(path, 0o600);
    expect(await readCredentials(dir)).toEqual({});
  });

  test('in a folder that others can write is refused', async () => {
    const dir = scratch();
    put(join(dir, 'credentials.json'), '{}');
    chmodSync(dir, 0o777);
    await expect(readCredentials(dir)).rejects.toMatchObject({ code: 'credentials_unsafe' });
  });

  test.each([
    ['cut off', `{"credentials":{"APIKey":{"api_key":"${KEY}"`],
    ['empty', ''],
    ['a list', '[]'],
    ['of other bytes', '\u0000\u0001'],
    ['with credentials that are none', '{"credentials":"hunter2"}'],
    ['with a key that is none', '{"credentials":{"APIKey":{"api_key":5}}}'],
    ['with an empty key', '{"device_credentials":{"api_key":""}}'],
    ['with a token that is none', '{"credentials":{"OAuth2Token":{}}}'],
    ['with a refresh token that is none', '{"credentials":{"OAuth2Token":{"access_token":"hunter2","refresh_token":7}}}'],
    ['with a token that ends at no time', '{"credentials":{"OAuth2Token":{"access_token":"hunter2","expires_at":"soon"}}}'],
    ['with scopes that are no list', '{"credentials":{"OAuth2Token":{"access_token":"hunter2","scopes":"openid"}}}'],
    ['with a user name alone', '{"credentials":{"Basic":{"username":"hunter2"}}}'],
    ['for a relay that is none', '{"credentials":{"APIKey":{"api_key":"hunter2"},"relay":{}}}'],
    ['larger than any', `{"x":"${'x'.repeat(1_100_000)}"}`],
  ])('that is %s is damaged: it is named, not shown, and not overwritten', async (_, content) => {
    const dir = scratch();
    const path = put(join(dir, 'credentials.json'), content);
    const damaged = expect.objectContaining({ code: 'file_damaged', message: expect.stringMatching(new RegExp(`^${path} (?!.*hunter2)`)) });
    await expect(readCredentials(dir)).rejects.toEqual(damaged);
    await expect(updateCredentials(dir, () => ({}))).rejects.toEqual(damaged);
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  test('is left as it is by a change that is none', async () => {
    const dir = scratch();
    const path = put(join(dir, 'credentials.json'), '{"kept":1}');
    expect(await updateCredentials(dir, () => null)).toEqual({ kept: 1 });
    expect(readFileSync(path, 'utf8')).toBe('{"kept":1}');
  });

  test('that is a folder is damaged', async () => {
    const dir = scratch();
    put(join(dir, 'credentials.json', 'x'), '');
    await expect(readCredentials(dir)).rejects.toMatchObject({ code: 'file_damaged' });
  });

  test('by a link of its owner is read and written where it is', async () => {
    const dir = scratch();
    const elsewhere = put(join(scratch(), 'kept.json'), '{}');
    symlinkSync(elsewhere, join(dir, 'credentials.json'));
    await updateCredentials(dir, (present) => ({ ...present, device_credentials: { api_key: 'k' } }));
    expect(lstatSync(join(dir, 'credentials.json')).isSymbolicLink()).toBe(true);
    expect(JSON.parse(readFileSync(elsewhere, 'utf8'))).toEqual({ device_credentials: { api_key: 'k' } });
    chmodSync(elsewhere, 0o644);
    await expect(readCredentials(dir)).rejects.toMatchObject({ code: 'credentials_unsafe' });
  });

  test.skipIf(process.getuid?.() !== 0)('by a link of somebody else is refused (needs root to make one)', async () => {
    const dir = scratch();
    symlinkSync(put(join(scratch(), 'theirs.json'), '{}'), join(dir, 'credentials.json'));
    lchownSync(join(dir, 'credentials.json'), 12_345, 12_345);
    await expect(readCredentials(dir)).rejects.toMatchObject({ code: 'credentials_unsafe', message: expect.stringContaining('uid 12345') });
  });

  test('loses nothing by changes at once in one process', async () => {
    const dir = scratch();
    await Promise.all(Array.from({ length: 20 }, (_, at) => updateCredentials(dir, (present) => ({ ...present, [`n${at}`]: at }))));
    expect(Object.keys(await readCredentials(dir))).toHaveLength(20);
  });

  test('stays as it was when the change fails, and can be changed again', async () => {
    const dir = scratch();
    await updateCredentials(dir, () => ({ kept: true }));
    const failing = updateCredentials(dir, () => {
      throw new Error('no network');
    });
    await expect(failing).rejects.toThrow('no network');
    expect(await updateCredentials(dir, (present) => ({ ...present, more: true }))).toEqual({ kept: true, more: true });
  });

  test('heals from what a killed process left beside it', async () => {
    const dir = scratch();
    put(join(dir, 'credentials.json.new'), `{"half":"${KEY}`);
    await updateCredentials(dir, () => ({ whole: true }));
    expect(readdirSync(dir)).toEqual(['credentials.json']);
  });
});

describe('config.json', () => {
  test('keeps relay, fingerprint and CA, and what another version wrote', async () => {
    const dir = scratch();
    put(join(dir, 'config.json'), '{"later":1}');
    await updateUserConfig(dir, (present) => ({ ...present, relay: 'https://r.example', fingerprint: 'sha256:00', ca: 'PEM' }));
    expect(await readUserConfig(dir)).toEqual({ later: 1, relay: 'https://r.example', fingerprint: 'sha256:00', ca: 'PEM' });
  });

  test('with a relay that is no text is damaged', async () => {
    const dir = scratch();
    put(join(dir, 'config.json'), '{"relay":1}');
    await expect(readUserConfig(dir)).rejects.toMatchObject({ code: 'file_damaged', message: expect.stringContaining('"relay"') });
  });
});

describe('device.json', () => {
  test('holds an identity that is made once: a random id, and a key pair that belongs together', async () => {
    const dir = scratch();
    expect(await readDeviceState(dir)).toBeNull();
    const all = await Promise.all(Array.from({ length: 8 }, () => ensureDeviceState(dir)));
    expect(new Set(all.map((state) => JSON.stringify(state))).size).toBe(1);
    const state = all[0]!;
    expect(state.device_id).toMatch(/^[0-9a-f]{32}$/);
    expect(fingerprintOf(state.public_key)).toMatch(/^sha256:[0-9a-f]{64}$/);
    const signature = signText('x', parsePrivateKey(state.private_key)!);
    expect(verifyText('x', signature, parsePublicKey(state.public_key)!)).toBe(true);
    expect(await readDeviceState(dir)).toEqual(state);
    expect(createDeviceIdentity().device_id).not.toBe(createDeviceIdentity().device_id);
  });

  test('remembers the relay and keeps its identity', async () => {
    const dir = scratch();
    const { device_id } = await ensureDeviceState(dir);
    const relay = { url: 'https://r.example', id: 'a'.repeat(32), name: 'pi', grant_keys: [{ id: '0'.repeat(16), key: 'x' }] };
    await updateDeviceState(dir, (state) => ({ ...state, relay }));
    expect(await readDeviceState(dir)).toMatchObject({ device_id, relay });
  });

  test.each([
    ['without an id', { device_id: undefined }],
    ['with a short id', { device_id: 'abc' }],
    ['with a private key that is none', { private_key: 'hunter2' }],
    ['with a public key that is none', { public_key: '' }],
    ['with the public key of another', { public_key: createDeviceIdentity().public_key }],
    ['with half a relay', { relay: { url: 'x' } }],
    ['with grant keys that are none', { relay: { url: 'x', id: 'y', name: 'z', grant_keys: [5] } }],
  ])('%s is damaged, and no new identity takes its place', async (_, part) => {
    const dir = scratch();
    const content = JSON.stringify({ ...createDeviceIdentity(), ...part });
    const path = put(join(dir, 'device.json'), content);
    await expect(ensureDeviceState(dir)).rejects.toMatchObject({ code: 'file_damaged', message: expect.not.stringContaining('hunter2') });
    expect(readFileSync(path, 'utf8')).toBe(content);
  });
});
