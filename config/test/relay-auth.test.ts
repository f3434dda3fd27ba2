import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RelayConfig } from '../src/relay/relay-config.ts';
import { configOf, faultsOf, GOOD_SECRET, OTHER_SECRET, type Start } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const SECRET = { env: { TOWLINE_JWT_SECRET: GOOD_SECRET } };

/** The plugins that say who may come in, with their options. */
const authOf = (yaml: string, start?: Start) => plugins(configOf(scratch(), yaml, start));
const plugins = (config: RelayConfig) => config.auth.map((entry) => [entry.use, config.optionsOf(entry, {})]);
const faults = (yaml: string, start?: Start) => faultsOf(scratch(), yaml, start);

describe('a block of older files', () => {
  test('stands for an entry of auth, each after what auth lists', () => {
    const yaml = `security:
  basic_auth: { username: admin, password: hunter2 }
  jwt: { secret: ${GOOD_SECRET}, expiration: 12h }
`;
    const shorthands = [
      ['jwt', { secret: GOOD_SECRET, expiration: '12h' }],
      ['basic', { username: 'admin', password: 'hunter2' }],
    ];
    expect(authOf(yaml)).toEqual([['apikey', {}], ...shorthands]);
    expect(authOf(`auth: [ { use: oidc, issuer: x } ]\n${yaml}`)).toEqual([['oidc', { issuer: 'x' }], ...shorthands]);
  });

  test('is on when it says so or nothing, and off when it says so', () => {
    const jwt = (enabled: string) => authOf(`security: { jwt: { ${enabled} secret: ${GOOD_SECRET} } }\n`).map(([use]) => use);
    expect(jwt('enabled: true,')).toEqual(['apikey', 'jwt']);
    expect(jwt('')).toEqual(['apikey', 'jwt']);
    expect(jwt('enabled: false,')).toEqual(['apikey']);
  });

  test('that is off may be empty, weak or half', () => {
    const yaml = 'security: { jwt: { enabled: false, secret: "", expiration: x }, basic_auth: { enabled: false, password: "" } }\n';
    expect(authOf(yaml)).toEqual([['apikey', {}]]);
  });

  test('for API keys leaves them as they are by default, puts them behind a list that lacks them, and switches them off', () => {
    const basic = 'basic_auth: { username: a, password: b }';
    expect(authOf('security: { api_keys: {} }\n')).toEqual([['apikey', {}]]);
    expect(authOf('auth: [oidc]\nsecurity: { api_keys: { enabled: true } }\n')).toEqual([
      ['oidc', {}],
      ['apikey', {}],
    ]);
    expect(authOf(`security: { api_keys: { enabled: false }, ${basic} }\n`)).toEqual([['basic', { username: 'a', password: 'b' }]]);
  });

  test('takes variables, and its switch from one', () => {
    const yaml = `security: { jwt: { enabled: "\${JWT}", secret: "\${S}" } }\n`;
    expect(authOf(yaml, { env: { JWT: 'true', S: GOOD_SECRET } })).toHaveLength(2);
    expect(authOf(yaml, { env: { JWT: 'false', S: '' } })).toHaveLength(1);
  });

  test('has later faults on its own lines', () => {
    const config = configOf(scratch(), 'security:\n  basic_auth:\n    username: admin\n    password: hunter2\n');
    const { path, line } = config.auth[1]!;
    expect([path, line]).toEqual([['security', 'basic_auth'], 2]);
    const later = config.faultAt([...path, 'password'], 'a better one');
    expect(later).toMatchObject({ line: 4, key: 'security.basic_auth.password', found: 'a text of 7 characters' });
  });

  test.each<[string, string, string[]]>([
    [
      'beside an entry for the same',
      `auth:\n  - apikey\n  - { use: jwt, secret: ${GOOD_SECRET} }\nsecurity:\n  jwt:\n    secret: ${OTHER_SECRET}\n`,
      ['towline.yaml:5: security.jwt: expected either this block or auth[1] in line 3, which set up the same, found both'],
    ],
    [
      'that is off beside an entry for the same',
      'auth: [basic]\nsecurity:\n  basic_auth: { enabled: false }\n',
      ['towline.yaml:3: security.basic_auth: expected either this block or auth[0] in line 1'],
    ],
    [
      'for API keys beside the entry',
      'auth: [apikey]\nsecurity: { api_keys: {} }\n',
      ['security.api_keys: expected either this block or auth[0]'],
    ],
    ['without secret', 'security: { jwt: {} }\n', ['security.jwt.secret: expected a random secret of at least 32 characters']],
    [
      'with an empty secret',
      'security: { jwt: { secret: "" } }\n',
      ['security.jwt.secret: expected a random secret', 'found an empty text'],
    ],
    ['with a placeholder', 'security: { jwt: { secret: change-me-please-change-me-now-1234 } }\n', ['found a placeholder']],
    ['with a secret that is a number', 'security: { jwt: { secret: 12 } }\n', ['security.jwt.secret: expected a random secret']],
    [
      'with a life of a year',
      `security: { jwt: { secret: ${GOOD_SECRET}, expiration: 365d } }\n`,
      ['security.jwt.expiration: expected a duration', 'from 1m to 30d'],
    ],
    [
      'without password',
      'security: { basic_auth: { username: admin } }\n',
      ['security.basic_auth.password: expected a password; or enabled: false'],
    ],
    ['of nothing', 'security: { basic_auth: }\n', ['security.basic_auth: expected a mapping of keys to values']],
    ['with a switch in words', 'security: { api_keys: { enabled: no } }\n', ['security.api_keys.enabled: expected true or false']],
    ['of an unknown name', 'security: { jwts: {} }\n', ['security.jwts: expected a known key; did you mean jwt?']],
    [
      'with an unknown key',
      `security: { jwt: { secret: ${GOOD_SECRET}, expiry: 1h } }\n`,
      ['security.jwt.expiry: expected one of enabled, secret, expiration'],
    ],
  ])('%s is refused', (_, yaml, expected) => {
    const found = faults(yaml);
    expect(found).toHaveLength(1);
    for (const part of expected) expect(found[0]).toContain(part);
    expect(found[0]).not.toMatch(/change-me|kQ0v7/);
  });
});

describe('a relay that nobody could come in to', () => {
  test.each([
    [
      'security: { api_keys: { enabled: false } }\n',
      'security.api_keys.enabled: expected true, or another plugin in auth than jwt: nobody could come in, found false',
    ],
    [`security: { api_keys: { enabled: false }, jwt: { secret: ${GOOD_SECRET} } }\n`, 'nobody could come in, found false'],
    [
      `auth: [ { use: jwt, secret: ${GOOD_SECRET} } ]\n`,
      'auth: expected another plugin in auth than jwt: nobody could come in, found a list',
    ],
  ])('is refused: %s', (yaml, expected) => expect(faults(yaml)).toEqual([expect.stringContaining(expected)]));
});

describe('variables for tokens', () => {
  test('switch tokens on by the secret alone', () => {
    expect(authOf('', SECRET)).toEqual([
      ['apikey', {}],
      ['jwt', { secret: GOOD_SECRET }],
    ]);
    const older = { env: { M9M_JWT_SECRET: GOOD_SECRET, M9M_JWT_EXPIRATION: '1h' } };
    expect(authOf('auth: [oidc]\n', older)).toEqual([
      ['oidc', {}],
      ['jwt', { secret: GOOD_SECRET, expiration: '1h' }],
    ]);
  });

  test('are read from a file', () => {
    const file = put(join(scratch(), 'secret'), `${GOOD_SECRET}\n`);
    expect(authOf('', { env: { TOWLINE_JWT_SECRET_FILE: file } })[1]).toEqual(['jwt', { secret: GOOD_SECRET }]);
    expect(authOf('', { env: { M9M_JWT_SECRET_FILE: file } })[1]).toEqual(['jwt', { secret: GOOD_SECRET }]);
  });

  test('win over the block of the file, and leave it off when it is off', () => {
    expect(authOf(`security: { jwt: { secret: ${OTHER_SECRET}, expiration: 2h } }\n`, SECRET)[1]).toEqual([
      'jwt',
      { secret: GOOD_SECRET, expiration: '2h' },
    ]);
    expect(authOf('security: { jwt: { enabled: false } }\n', SECRET)).toEqual([['apikey', {}]]);
  });

  test('win over the entry of auth, in its place', () => {
    const expiring = { env: { ...SECRET.env, TOWLINE_JWT_EXPIRATION: '1h' } };
    const set = ['jwt', { secret: GOOD_SECRET, expiration: '1h' }];
    expect(authOf('auth: [jwt, apikey]\n', expiring)).toEqual([set, ['apikey', {}]]);
    expect(authOf(`auth: [ apikey, { use: jwt, secret: ${OTHER_SECRET}, issuer: x } ]\n`, expiring)).toEqual([
      ['apikey', {}],
      ['jwt', { secret: GOOD_SECRET, issuer: 'x', expiration: '1h' }],
    ]);
  });

  test('that repeat the newest of several secrets change nothing', () => {
    const yaml = `auth: [ apikey, { use: jwt, secrets: [ "\${TOWLINE_JWT_SECRET}", ${OTHER_SECRET} ] } ]\n`;
    expect(authOf(yaml, SECRET)[1]).toEqual(['jwt', { secrets: [GOOD_SECRET, OTHER_SECRET] }]);
  });

  test.each<[string, string, Record<string, string>, string]>([
    ['empty', '', { TOWLINE_JWT_SECRET: '' }, 'environment: TOWLINE_JWT_SECRET: expected a value'],
    ['short', '', { TOWLINE_JWT_SECRET: 'hunter2' }, 'environment: TOWLINE_JWT_SECRET: expected a random secret of at least 32 characters'],
    ['short under the older name', '', { M9M_JWT_SECRET: 'hunter2' }, 'environment: M9M_JWT_SECRET: expected a random secret'],
    [
      'short for an entry',
      'auth: [apikey, jwt]\n',
      { TOWLINE_JWT_SECRET: 'hunter2' },
      'environment: TOWLINE_JWT_SECRET: expected a random secret',
    ],
    [
      'a life alone',
      '',
      { TOWLINE_JWT_EXPIRATION: '1h' },
      'environment: TOWLINE_JWT_EXPIRATION: expected TOWLINE_JWT_SECRET beside it, or the variable unset',
    ],
    [
      'a life without unit',
      '',
      { ...SECRET.env, TOWLINE_JWT_EXPIRATION: '3600' },
      'environment: TOWLINE_JWT_EXPIRATION: expected a duration',
    ],
    [
      'beside other secrets',
      `auth: [ apikey, { use: jwt, secrets: [${OTHER_SECRET}] } ]\n`,
      SECRET.env,
      'environment: TOWLINE_JWT_SECRET: expected the variable unset, or equal to the first',
    ],
  ])('that are %s are refused by their name', (_, yaml, env, expected) => {
    const found = faults(yaml, { env });
    expect(found).toEqual([expect.stringContaining(expected)]);
    expect(found[0]).not.toMatch(/hunter2|kQ0v7/);
  });
});

describe('the secrets of an entry jwt', () => {
  test.each([
    ['secret: changeme-changeme-changeme-12345', 'auth[1].secret: expected a random secret'],
    [`secrets: [${GOOD_SECRET}, hunter2]`, 'auth[1].secrets[1]: expected a random secret of at least 32 characters'],
    [`secret: ${GOOD_SECRET}, expiration: 1y`, 'auth[1].expiration: expected a duration such as'],
  ])('%s are checked', (options, expected) => {
    const found = faults(`auth: [ apikey, { use: jwt, ${options} } ]\n`);
    expect(found).toEqual([expect.stringContaining(expected)]);
    expect(found[0]).not.toMatch(/changeme-|hunter2/);
  });
});

describe('a hash of a password', () => {
  test('goes through a file as it is: its dollar signs are no variables', () => {
    const hash = 'scrypt$131072$8$1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
    const yaml = `auth: [ apikey, { use: basic, users: [ { username: alice, password_hash: ${hash} } ] } ]\n`;
    expect(authOf(yaml)[1]).toEqual(['basic', { users: [{ username: 'alice', password_hash: hash }] }]);
  });
});

describe('a warning', () => {
  const warningsOf = (yaml: string) => configOf(scratch(), yaml).warnings;
  const plain = 'server: { host: 127.0.0.1, tls: { enabled: false } }\n';
  const basic = 'security: { basic_auth: { username: a, password: b } }\n';

  test('comes for basic auth without TLS, by block and by entry', () => {
    expect(warningsOf(plain + basic)).toEqual([expect.stringContaining('Basic auth is on while the relay speaks no TLS')]);
    expect(warningsOf(`${plain}auth: [basic, apikey]\n`)).toHaveLength(1);
  });

  test('comes where devices could not log in', () => {
    expect(warningsOf('auth: [oidc]\n')).toEqual([expect.stringContaining('devices log in by API key')]);
  });

  test('comes for nothing else', () => {
    expect([warningsOf(''), warningsOf(basic), warningsOf(plain)]).toEqual([[], [], []]);
  });
});

describe('limits of sessions', () => {
  test('are none by default, and milliseconds of what is written', () => {
    expect(configOf(scratch(), '').sessions).toEqual({ idleMs: 0, maxDurationMs: 0 });
    expect(configOf(scratch(), 'sessions: { idle: 15m, max_duration: 8h }\n').sessions).toEqual({
      idleMs: 900_000,
      maxDurationMs: 28_800_000,
    });
  });

  test.each([
    ['idle: 15', 'sessions.idle: expected a duration such as'],
    ['idle: -1s', 'or 0s for no limit, found the text "-1s"'],
    ['max_duration: forever', 'sessions.max_duration: expected a duration'],
    ['detached: 10m', 'sessions.detached: expected one of idle, max_duration'],
  ])('%s is refused', (text, expected) => expect(faults(`sessions: { ${text} }\n`)).toEqual([expect.stringContaining(expected)]));
});
