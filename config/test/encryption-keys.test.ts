import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configOf, faultsOf } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const PLAIN = 'q8Zr2Ty6Ub1Nm5Kj9Hg3Fd7Sa4Pl0XcV';
const BASE64 = 'wJ0mO1Zy5Qd8Tb3Rk7Vx2Lf6Nh9Sc4Ge+Ua/PiYtHsM=';
const BYTES = Buffer.from(BASE64, 'base64');
const keysOf = (yaml: string, env: Record<string, string> = {}) => configOf(scratch(), yaml, { env }).encryptionKeys;
const ring = (...keys: [id: string, key: string][]) =>
  `credentials: { encryption_keys: [${keys.map(([id, key]) => `{ id: "${id}", key: "${key}" }`).join(', ')}] }`;

describe('an encryption key', () => {
  test.each([
    ['32 characters', PLAIN, Buffer.from(PLAIN)],
    ['32 characters of which one has two bytes', `é${PLAIN.slice(1)}`, Buffer.from(`é${PLAIN.slice(1)}`)],
    ['base64 of 32 bytes', BASE64, BYTES],
    ['base64 without padding', BASE64.slice(0, -1), BYTES],
    ['base64 by the alphabet for URLs', BYTES.toString('base64url'), BYTES],
  ])('is %s', (_what, key, bytes) => {
    expect(keysOf(`credentials: { encryption_key: "${key}", storage: database }`)).toEqual([{ bytes }]);
  });

  test.each([
    ['nothing', '', 'an empty text'],
    ['31 characters', PLAIN.slice(1), 'a text of 31 characters'],
    ['33 characters', `${PLAIN}x`, 'a text of 33 characters'],
    ['base64 of 31 bytes', BYTES.subarray(1).toString('base64'), 'a text of 44 characters'],
    ['base64 of 33 bytes', Buffer.concat([BYTES, BYTES.subarray(0, 1)]).toString('base64'), 'a text of 44 characters'],
    ['hex of 32 bytes', BYTES.toString('hex'), 'a text of 64 characters'],
    ['a line feed behind it', `${BASE64}\\n`, 'a text of 45 characters'],
    ['one letter 32 times', 'x'.repeat(32), 'a text of 32 characters'],
    ['a placeholder', 'changeme-changeme-please-32-char', 'a text of 32 characters'],
  ])('is not %s', (_what, key, found) => {
    const expected = 'expected 32 characters, or base64 of 32 bytes, found';
    for (const [yaml, name] of [
      [`credentials: { encryption_key: "${key}" }`, 'credentials.encryption_key'],
      [ring(['k2', BASE64], ['k1', key]), 'credentials.encryption_keys[1].key'],
    ] as const) {
      const faults = faultsOf(scratch(), yaml);
      expect(faults).toEqual([`towline.yaml:1: ${name}: ${expected} ${found}`]);
      if (key !== '') expect(faults.join()).not.toContain(key.slice(0, 10));
    }
  });

  test('comes from a variable, by each of its names, or from the file it names', () => {
    const dir = scratch();
    for (const name of ['TOWLINE_ENCRYPTION_KEY', 'M9M_ENCRYPTION_KEY', 'N8N_ENCRYPTION_KEY'])
      expect(keysOf('', { [name]: BASE64 })).toEqual([{ bytes: BYTES }]);
    expect(keysOf('', { N8N_ENCRYPTION_KEY: PLAIN, TOWLINE_ENCRYPTION_KEY: BASE64 })).toEqual([{ bytes: BYTES }]);
    expect(keysOf('', { TOWLINE_ENCRYPTION_KEY_FILE: put(join(dir, 'key'), `${BASE64}\n`) })).toEqual([{ bytes: BYTES }]);
    expect(keysOf(`credentials: { encryption_key: "\${K}" }`, { K: PLAIN })).toEqual([{ bytes: Buffer.from(PLAIN) }]);
    expect(faultsOf(dir, '', { env: { M9M_ENCRYPTION_KEY: 'short' } })).toEqual([
      'environment: M9M_ENCRYPTION_KEY: expected 32 characters, or base64 of 32 bytes, found a text of 5 characters',
    ]);
  });

  test('is not needed', () => {
    expect(keysOf('')).toEqual([]);
    expect(keysOf('credentials: {}')).toEqual([]);
  });
});

describe('a ring of encryption keys', () => {
  test('keeps its order and its ids', () => {
    expect(keysOf(ring(['k2', BASE64], ['k1', PLAIN]))).toEqual([
      { id: 'k2', bytes: BYTES },
      { id: 'k1', bytes: Buffer.from(PLAIN) },
    ]);
  });

  test.each([
    ['is empty', 'credentials: { encryption_keys: [] }', /encryption_keys: expected at least one key/],
    ['is no list', `credentials: { encryption_keys: "${PLAIN}" }`, /encryption_keys: expected a list of keys/],
    ['holds a key without an id', `credentials: { encryption_keys: ["${PLAIN}"] }`, /encryption_keys\[0\]: expected a mapping/],
    ['has an id that is none', ring(['K 1', BASE64]), /encryption_keys\[0\]\.id: expected a name of 1 to 32/],
    ['has an id twice', ring(['k1', BASE64], ['k1', PLAIN]), /encryption_keys\[1\]\.id: expected each once, found the same as in/],
    ['has a key twice', ring(['k1', BASE64], ['k2', BASE64]), /encryption_keys\[1\]\.key: expected each once, found the same as in/],
    ['has a misspelt key', `credentials: { encryption_keys: [{ id: k1, keys: "${PLAIN}" }] }`, /did you mean key\?/],
    ['is a text', `credentials: "${PLAIN}"`, /credentials: expected a mapping/],
  ])('is refused when it %s', (_what, yaml, expected) => {
    const faults = faultsOf(scratch(), yaml);
    expect(faults.join('\n')).toMatch(expected);
    expect(faults.join('\n')).not.toContain(PLAIN.slice(0, 10));
  });

  test('is refused beside a key, unless a variable repeats its first', () => {
    const yaml = ring(['k2', BASE64], ['k1', PLAIN]);
    expect(keysOf(yaml, { TOWLINE_ENCRYPTION_KEY: BASE64 })).toHaveLength(2);
    expect(faultsOf(scratch(), yaml, { env: { TOWLINE_ENCRYPTION_KEY: PLAIN } })).toEqual([
      expect.stringContaining('environment: TOWLINE_ENCRYPTION_KEY: expected the variable unset, or equal to the first of encryption_keys'),
    ]);
    expect(faultsOf(scratch(), yaml.replace('{ ', `{ encryption_key: "${PLAIN}", `))).toEqual([
      expect.stringContaining('expected either encryption_key or encryption_keys, found both'),
    ]);
  });
});

test('secrets are kept in the database and nowhere else', () => {
  expect(faultsOf(scratch(), 'credentials: { storage: vault }')).toEqual([
    expect.stringMatching(/^towline\.yaml:1: credentials\.storage: expected database, found .*vault/),
  ]);
});
