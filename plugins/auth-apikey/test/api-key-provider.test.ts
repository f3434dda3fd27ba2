import { type ApiKey, type Caller, type Credential, isPlugin, type KeyRepository, type Log, type Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type ApiKeyKind, createApiKeyText, createId, type DeviceId, type KeyId, parseScope, userScope } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { plugin } from '../src/index.ts';

const NOW = 1_700_000_000_000;
const ACME = parseScope('org:acme')!;
const DEVICE = createId<DeviceId>();

/** The keys of a store, in memory, with what was asked of them. */
function openKeys() {
  const stored = new Map<string, ApiKey>();
  const touched: [KeyId, number][] = [];
  const asked: Caller[] = [];
  const state = { touch: () => Promise.resolve() as Promise<void>, get: () => Promise.resolve() as Promise<void> };
  const keys: Pick<KeyRepository, 'get' | 'touch'> = {
    async get(id, caller) {
      asked.push(caller);
      await state.get();
      return stored.get(id) ?? null;
    },
    touch(id, at) {
      touched.push([id, at]);
      return state.touch();
    },
  };
  return { keys, stored, touched, asked, state };
}

function setUp() {
  const store = openKeys();
  const lines: { message: string; fields: unknown }[] = [];
  const keep = (message: string, fields?: unknown) => void lines.push({ message, fields });
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  const clock = { time: NOW, now: () => clock.time };
  const provider = plugin.create(
    {},
    { store: { keys: store.keys } as unknown as Store, clock, log, dataDir: '/unused', baseDir: '/unused' },
  );
  const ask = (credential: Credential) => provider.authenticate(credential, AbortSignal.timeout(5_000));
  const askKey = (key: string) => ask({ scheme: 'api_key', key });
  /** Puts a key into the store and answers its text. */
  const put = (kind: ApiKeyKind, more: Partial<ApiKey> = {}) => {
    const { text, id, hash } = createApiKeyText(kind);
    const base = { id, kind, hash, name: 'ci', owner: ACME, admin: false, scopes: [], createdAt: NOW, createdBy: 'test', revision: 1 };
    stored(id, { ...base, ...more });
    return { text, id };
  };
  const stored = (id: KeyId, key: ApiKey) => void store.stored.set(id, key);
  return { ...store, provider, clock, lines, ask, askKey, put };
}

describe('the plugin', () => {
  it('is of kind auth, needs the store and takes no options', async () => {
    expect(isPlugin(plugin)).toBe(true);
    expect(plugin).toMatchObject({ kind: 'auth', name: 'apikey', needs: ['store'] });
    expect((await plugin.options['~standard'].validate({ cache: true })).issues).toBeDefined();
    expect(setUp().provider.loginMethod).toEqual({ method: 'api_key', label: 'API key' });
  });
});

describe('a credential of another kind', () => {
  it.each([
    { scheme: 'basic', username: 'twl_u_', password: 'x' },
    { scheme: 'bearer', token: 'eyJhbGciOiJIUzI1NiJ9.e30.x' },
    { scheme: 'bearer', token: '' },
    { scheme: 'bearer', token: ' twl_u_x' },
  ] as const)('is skipped without asking the store: %j', async (credential) => {
    const { ask, asked } = setUp();
    expect(await ask(credential)).toEqual({ outcome: 'skipped' });
    expect(asked).toEqual([]);
  });
});

describe('a key that is not known', () => {
  const refusal = { outcome: 'rejected', code: 'unauthenticated', message: 'The API key is not known here.' };

  it('is refused in the same words for a wrong form, an unknown id, a wrong secret and a changed kind', async () => {
    const { askKey, ask, put } = setUp();
    const { text } = put('user', { admin: true });
    const other = createApiKeyText('user');
    const wrong = [
      '',
      'x',
      'twl_',
      `${text}0`,
      text.toUpperCase(),
      other.text,
      text.slice(0, 23) + other.secret,
      text.replace('twl_u', 'twl_d'),
    ];
    for (const key of wrong) expect(await askKey(key)).toEqual(refusal);
    expect(await ask({ scheme: 'bearer', token: 'twl_nonsense' })).toEqual(refusal);
  });

  it('is refused also when the stored hash is damaged', async () => {
    const { askKey, put } = setUp();
    for (const hash of ['', '0'.repeat(64), 'zz']) expect(await askKey(put('user', { hash }).text)).toEqual(refusal);
  });

  it('tells only the holder of the secret that a key was revoked', async () => {
    const { askKey, put } = setUp();
    const { text } = put('user', { revokedAt: NOW - 1 });
    expect(await askKey(text.slice(0, 23) + createApiKeyText('user').secret)).toEqual(refusal);
    expect(await askKey(text)).toEqual({ outcome: 'rejected', code: 'key_revoked' });
  });

  it('is refused when it is a device key without a device', async () => {
    const { askKey, put, lines } = setUp();
    expect(await askKey(put('device').text)).toEqual(refusal);
    expect(lines).toHaveLength(1);
  });
});

describe('a key that cannot be used any more', () => {
  it.each([
    ['revoked', 'user', { revokedAt: NOW - 1 }, 'key_revoked'],
    ['revoked, to the millisecond', 'device', { revokedAt: NOW, deviceId: createId<DeviceId>() }, 'key_revoked'],
    ['expired', 'user', { expiresAt: NOW - 1 }, 'key_expired'],
    ['expired to the millisecond', 'user', { expiresAt: NOW }, 'key_expired'],
    ['revoked and expired', 'enrolment', { revokedAt: NOW, expiresAt: NOW, remaining: 0 }, 'key_revoked'],
  ] as const)('because it is %s is refused by its own code, and its use is not noted', async (_what, kind, more, code) => {
    const { askKey, put, touched } = setUp();
    expect(await askKey(put(kind, more).text)).toEqual({ outcome: 'rejected', code });
    expect(touched).toEqual([]);
  });

  it('is refused from the moment of its revocation or expiry, with no cache between', async () => {
    const { askKey, put, stored, clock } = setUp();
    const { text, id } = put('user', { expiresAt: NOW + 10 });
    expect((await askKey(text)).outcome).toBe('accepted');
    clock.time += 10;
    expect(await askKey(text)).toMatchObject({ code: 'key_expired' });
    clock.time -= 10;
    stored.set(id, { ...stored.get(id)!, revokedAt: NOW });
    expect(await askKey(text)).toMatchObject({ code: 'key_revoked' });
    stored.delete(id);
    expect(await askKey(text)).toMatchObject({ code: 'unauthenticated' });
  });
});

describe('a key that is accepted', () => {
  const accepted = (principal: unknown) => ({ outcome: 'accepted', principal });

  it('of a user acts as that user, with its scopes and limits', async () => {
    const { ask, askKey, put, asked } = setUp();
    const scopes = [
      { scope: userScope('a@example.com'), role: 'admin' as const },
      { scope: ACME, role: 'viewer' as const },
    ];
    const { text, id } = put('user', {
      userId: 'local|a@example.com',
      email: 'a@example.com',
      scopes,
      streams: ['exec'],
      devices: [DEVICE],
      bounded: true,
      expiresAt: NOW + 1,
    });
    const principal = {
      kind: 'user',
      id: 'local|a@example.com',
      label: 'a@example.com',
      email: 'a@example.com',
      scopes,
      admin: false,
      provider: 'apikey',
      keyId: id,
      streams: ['exec'],
      devices: [DEVICE],
      bounded: true,
      expiresAt: NOW + 1,
    };
    expect(await askKey(text)).toEqual(accepted(principal));
    expect(await ask({ scheme: 'bearer', token: text })).toEqual(accepted(principal));
    expect(asked).toEqual([SYSTEM_SCOPE, SYSTEM_SCOPE]);
  });

  it('of an admin without an address is a platform admin of its own', async () => {
    const { askKey, put } = setUp();
    const { text, id } = put('user', { admin: true, name: 'first' });
    expect(await askKey(text)).toEqual(
      accepted({ kind: 'user', id: `local|key-${id}`, label: 'first', scopes: [], admin: true, provider: 'apikey', keyId: id }),
    );
  });

  it('that is limited to no stream at all stays so', async () => {
    const { askKey, put } = setUp();
    expect(await askKey(put('user', { streams: [] }).text)).toMatchObject({ principal: { streams: [] } });
  });

  it('of a device is that device and never an admin', async () => {
    const { askKey, put } = setUp();
    const deviceId = createId<DeviceId>();
    const { text, id } = put('device', { deviceId, name: 'pi', admin: true });
    expect(await askKey(text)).toEqual(
      accepted({
        kind: 'device',
        id: `device:${deviceId}`,
        label: 'pi',
        scopes: [],
        admin: false,
        provider: 'apikey',
        keyId: id,
        deviceId,
      }),
    );
  });

  it('of enrolment may see its scope and nothing more, whatever else is stored with it', async () => {
    const { askKey, put } = setUp();
    const { text, id } = put('enrolment', { admin: true, remaining: 1, scopes: [{ scope: ACME, role: 'admin' }] });
    const scopes = [{ scope: ACME, role: 'viewer' }];
    expect(await askKey(text)).toEqual(
      accepted({ kind: 'enrolment', id: `enrolment:${id}`, label: 'ci', scopes, admin: false, provider: 'apikey', keyId: id }),
    );
  });
});

describe('the note of use', () => {
  it('is made once a minute and key', async () => {
    const { askKey, put, touched, clock } = setUp();
    const [one, two] = [put('user'), put('user')];
    for (const step of [0, 1, 59_998, 1, 59_999]) {
      clock.time += step;
      await askKey(one.text);
    }
    await askKey(two.text);
    expect(touched).toEqual([
      [one.id, NOW],
      [one.id, NOW + 60_000],
      [two.id, NOW + 119_999],
    ]);
  });

  it('goes on after the clock was set back', async () => {
    const { askKey, put, touched, clock } = setUp();
    const { text } = put('user');
    await askKey(text);
    clock.time -= 86_400_000;
    await askKey(text);
    expect(touched).toHaveLength(2);
  });

  it('is not waited for by the request, but by the end of the plugin', async () => {
    const { askKey, put, state, provider } = setUp();
    let release = () => {};
    state.touch = () => new Promise((resolve) => (release = resolve));
    expect((await askKey(put('user').text)).outcome).toBe('accepted');
    let ended = false;
    const ending = provider[Symbol.asyncDispose]!().then(() => (ended = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(ended).toBe(false);
    release();
    await ending;
    await provider[Symbol.asyncDispose]!();
  });

  it('that fails is logged and changes nothing', async () => {
    const { askKey, put, state, lines, provider } = setUp();
    state.touch = () => Promise.reject(new Error('disk'));
    expect((await askKey(put('user').text)).outcome).toBe('accepted');
    await provider[Symbol.asyncDispose]!();
    expect(lines).toMatchObject([{ message: 'The last use of an API key could not be noted.' }]);
  });
});

describe('a store that fails', () => {
  it('accepts nobody: the error goes to the caller', async () => {
    const { askKey, put, state } = setUp();
    const { text } = put('user');
    state.get = () => Promise.reject(new Error('down'));
    await expect(askKey(text)).rejects.toThrow('down');
  });
});
