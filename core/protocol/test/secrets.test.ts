import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeSecrets,
  deviceOpen,
  encodeSecrets,
  MAX_SESSION_SECRET_BYTES,
  parseSecretWord,
  relayOpen,
  type SecretValue,
  secretNameFault,
  secretValueFault,
  secretWordFault,
  secretWordsFault,
  secretWordsSchema,
} from '../src/index.ts';

describe('the name of a secret', () => {
  it.each(['A', '_A', 'a', 'API_TOKEN', 'x1', 'AWS_SECRET_ACCESS_KEY', 'PATHS', 'MY_PATH', 'GIT_TOKEN', 'PYTHON_TOKEN', 'N'.repeat(128)])(
    'may be %s',
    (name) => expect(secretNameFault(name)).toBeNull(),
  );

  it.each([
    ...[
      '',
      '1A',
      'A-B',
      'A.B',
      'A B',
      'A=B',
      'A\nB',
      'Ä',
      'A\0',
      '$(id)',
      'A;B',
      '\u212aEY',
      'N'.repeat(129),
      'BASH_FUNC_ls%%',
      ' A',
      'A\n',
    ],
  ])('may not be %j', (name) => {
    expect(secretNameFault(name)).toMatch(/^the name of a secret has 1 to 128/);
  });

  it.each([
    ...['PATH', 'HOME', 'SHELL', 'USER', 'LOGNAME', 'IFS', 'ENV', 'BASH_ENV', 'BASH_FUNC_ls', 'BASHOPTS', 'SHELLOPTS', 'PS4', 'PS1'],
    ...['PROMPT_COMMAND', 'TERM', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'DYLD_INSERT_LIBRARIES', 'NODE_OPTIONS', 'NODE_PATH'],
    ...['PYTHONSTARTUP', 'PYTHONPATH', 'PERL5OPT', 'PERL5LIB', 'RUBYOPT', 'RUBYLIB', 'GCONV_PATH', 'GLIBC_TUNABLES', 'LOCPATH', 'NLSPATH'],
    ...['MALLOC_TRACE', 'TOWLINE_SESSION', 'TOWLINE_SECRET_X', 'TOWLINE_API_KEY', 'SUDO_USER', 'LC_ALL', 'LANG', 'TZ', 'TMPDIR', 'ZDOTDIR'],
    ...[
      'FPATH',
      'CDPATH',
      'INPUTRC',
      'GIT_SSH_COMMAND',
      'GIT_CONFIG_COUNT',
      'EDITOR',
      'PAGER',
      'LESSOPEN',
      'JAVA_TOOL_OPTIONS',
      'LUA_INIT_5_4',
    ],
    ...[
      'OPENSSL_CONF',
      'XDG_CONFIG_HOME',
      'GIT_DIR',
      'LESS',
      'VIMINIT',
      'MAKEFLAGS',
      'UID',
      'RANDOM',
      'SHLVL',
      'PWD',
      '_',
      'path',
      'Path',
      'ld_preload',
      'Bash_Env',
      'towline_x',
    ],
  ])('is refused as %s, which programs go by', (name) => {
    expect(secretNameFault(name)).toBe(
      `${name} is refused as the name of a secret: it changes how programs are found, loaded or run; choose another name`,
    );
  });
});

describe('what somebody asks for', () => {
  it('is a name, or a scope and a name', () => {
    expect(parseSecretWord('A')).toEqual({ scope: null, name: 'A' });
    expect(parseSecretWord('org:acme/A')).toEqual({ scope: 'org:acme', name: 'A' });
    expect(parseSecretWord('user:Bob@Example.com/A')).toEqual({ scope: 'user:bob@example.com', name: 'A' });
    // RFC 5322 allows a slash before the @.
    expect(parseSecretWord('user:a/b@example.com/A')).toEqual({ scope: 'user:a/b@example.com', name: 'A' });
    for (const text of ['/A', 'acme/A', 'org:ACME/A', 'org:acme/', 'org:acme/PATH', 'user:x/A', '', 'org:acme/A/B']) {
      expect(secretWordFault(text), text).not.toBeNull();
    }
  });

  it('asks for each name once, and for 50 at most', () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => `N_${at}`);
    expect(secretWordsFault(many(50))).toBeNull();
    expect(secretWordsFault(many(51))).toBe('a session is given at most 50 secrets');
    expect(secretWordsFault(['A', 'org:acme/A'])).toBe('the secret A is asked for twice');
    expect(secretWordsFault(['A', 'a'])).toBeNull();
  });

  it('never passes the schema with a fault, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('A', 'PATH', 'org:a/B')), { maxLength: 60 }),
        (texts) => {
          const { success } = secretWordsSchema.safeParse(texts);
          expect(success).toBe(texts.length > 0 && secretWordsFault(texts) === null);
        },
      ),
    );
  });
});

describe('the value of a secret', () => {
  it.each([
    ['', 'a secret cannot be empty'],
    ['a\0b', 'a secret cannot hold a NUL character: no environment can'],
    ['a\ud800b', 'a secret must be valid Unicode text'],
    ['\udc00', 'a secret must be valid Unicode text'],
    ['x'.repeat(16_385), 'a secret has at most 16384 bytes, and this one has 16385'],
    ['ü'.repeat(8_193), 'a secret has at most 16384 bytes, and this one has 16386'],
  ])('%# is refused in words that hold nothing of it', (value, fault) => expect(secretValueFault(value)).toBe(fault));

  it('may be any other text, and arrives as it was', () => {
    for (const value of ['x', '\n', ' ', 'ü'.repeat(8_192), '🎉\u{10ffff}', '\ufeffx', '"\'`$(id)\\'])
      expect(secretValueFault(value)).toBeNull();
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.stringMatching(/^X[A-Za-z0-9_]{0,20}$/).filter((name) => secretNameFault(name) === null),
          fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter((value) => secretValueFault(value) === null),
          { maxKeys: 10 },
        ),
        (values) => {
          const secrets: SecretValue[] = Object.entries(values).map(([name, value]) => ({ name, value }));
          expect(decodeSecrets(encodeSecrets(secrets))).toEqual(secrets);
        },
      ),
    );
  });

  it('fits the head of a stream with all that a session may have', () => {
    const each = Math.floor(MAX_SESSION_SECRET_BYTES / 50) - 10;
    const secrets = Array.from({ length: 50 }, (_, at) => ({ name: `SECRET_${at}`.padEnd(10, '_'), value: '\x01'.repeat(each) }));
    const argv = ['echo', '"'.repeat(1_500)];
    const open = { protocol: '/exec/1', session: '0'.repeat(32), body: { argv, stdin: false }, secrets: encodeSecrets(secrets) };
    const head = relayOpen.encode({ grant: 'g'.repeat(1_000), open: deviceOpen.encode(open).toString() });
    const received = deviceOpen.decode(Buffer.from(relayOpen.decode(head).open));
    expect(decodeSecrets(received.secrets)).toEqual(secrets);
    const tooMany = [...secrets.slice(1), { name: 'MORE', value: 'x'.repeat(each + 500) }];
    expect(() => encodeSecrets(tooMany)).toThrow(expect.objectContaining({ code: 'too_large' }));
  });

  const encoded = (value: string) => Buffer.from(value).toString('base64url');
  const hidden = 'never-in-an-error';
  it.each([
    ['a forbidden name', [{ name: 'LD_PRELOAD', value: encoded(hidden) }]],
    ['a name with more in it', [{ name: `A=${hidden}\nB`, value: encoded(hidden) }]],
    ['a name twice', [1, 2].map(() => ({ name: 'A', value: encoded(hidden) }))],
    ['an empty value', [{ name: 'A', value: '' }]],
    ['a value with NUL', [{ name: 'A', value: encoded(`${hidden}\0`) }]],
    ['a value that is no UTF-8', [{ name: 'A', value: Buffer.from([0xff, 0xfe]).toString('base64url') }]],
    ['a value that is not in base64url', [{ name: 'A', value: `${encoded(hidden)}==` }]],
    ['bits that mean nothing', [{ name: 'A', value: 'QR' }]],
    ['a value that is too long', [{ name: 'A', value: encoded('x'.repeat(16_385)) }]],
    ['more than the sum', ['A', 'B'].map((name) => ({ name, value: encoded('x'.repeat(12_000)) }))],
    ['more than 50', Array.from({ length: 51 }, (_, at) => ({ name: `A${at}`, value: encoded('x') }))],
  ])('is refused on the device with %s, and the error holds no value', (_what, secrets) => {
    expect(() => decodeSecrets(secrets)).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.not.stringContaining(hidden) }),
    );
  });
});
