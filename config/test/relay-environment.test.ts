import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configOf, faultsOf, GOOD_SECRET, OTHER_SECRET } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();

describe('a variable of the environment', () => {
  test('wins over the file', () => {
    const dir = scratch();
    const yaml = `server: { host: 10.0.0.1, port: 1 }\ndata: /a\nlog_level: info\nadmin_emails: [a@example.com]\nforward_secret: ${GOOD_SECRET}\n`;
    const env = {
      TOWLINE_HOST: '127.0.0.1',
      TOWLINE_PORT: '9000',
      TOWLINE_DATA: '/b',
      TOWLINE_LOG_LEVEL: 'error',
      TOWLINE_ADMIN_EMAILS: 'b@example.com, C@example.com,',
      TOWLINE_FORWARD_SECRET: OTHER_SECRET,
    };
    expect(configOf(dir, yaml, { env })).toMatchObject({
      server: { host: '127.0.0.1', port: 9000 },
      dataDir: '/b',
      logLevel: 'error',
      adminEmails: ['b@example.com', 'c@example.com'],
      forwardSecrets: [OTHER_SECRET],
    });
  });

  test('is read by its older name, and by the new one where both are set', () => {
    const dir = scratch();
    expect(configOf(dir, '', { env: { FORWARD_SECRET: GOOD_SECRET, ADMIN_EMAILS: 'a@example.com' } })).toMatchObject({
      forwardSecrets: [GOOD_SECRET],
      adminEmails: ['a@example.com'],
    });
    const both = {
      FORWARD_SECRET: GOOD_SECRET,
      TOWLINE_FORWARD_SECRET: OTHER_SECRET,
      ADMIN_EMAILS: 'a@example.com',
      TOWLINE_ADMIN_EMAILS: 'b@example.com',
    };
    expect(configOf(dir, '', { env: both })).toMatchObject({ forwardSecrets: [OTHER_SECRET], adminEmails: ['b@example.com'] });
  });

  test('spares the file the variable that it would have put in the same place', () => {
    expect(configOf(scratch(), `forward_secret: \${NOWHERE}\n`, { env: { TOWLINE_FORWARD_SECRET: GOOD_SECRET } }).forwardSecrets).toEqual([
      GOOD_SECRET,
    ]);
  });

  test('is taken as it is, without looking for variables in it', () => {
    const secret = `${GOOD_SECRET}\${HOME}$$`;
    expect(configOf(scratch(), '', { env: { TOWLINE_FORWARD_SECRET: secret, HOME: '/x' } }).forwardSecrets).toEqual([secret]);
  });

  test('gives a path from the working folder', () => {
    const dir = scratch();
    mkdirSync(join(dir, 'etc'));
    expect(configOf(dir, 'data: from-file\n', { env: { TOWLINE_DATA: 'here' } }).dataDir).toBe(join(dir, 'here'));
  });

  test.each([
    [{ TOWLINE_PORT: '80a' }, 'environment: TOWLINE_PORT: expected a port from 0 to 65535, found the text "80a"'],
    [{ TOWLINE_PORT: '' }, 'environment: TOWLINE_PORT: expected a value; unset the variable to leave it out, found an empty text'],
    [{ TOWLINE_PORT: '70000' }, 'environment: TOWLINE_PORT: expected a port from 0 to 65535, found the number 70000'],
    [{ TOWLINE_LOG_LEVEL: 'INFO' }, 'environment: TOWLINE_LOG_LEVEL: expected debug, info, warn or error'],
    [
      { TOWLINE_ADMIN_EMAILS: 'a@example.com,root' },
      'environment: TOWLINE_ADMIN_EMAILS: expected an e-mail address, found the text "root"',
    ],
    [{ ADMIN_EMAILS: ' , ' }, 'environment: ADMIN_EMAILS: expected values with commas between them, found none'],
    [{ FORWARD_SECRET: 'changeme' }, 'environment: FORWARD_SECRET: expected a random secret'],
    [{ TOWLINE_FORWARD_SECRET: '' }, 'environment: TOWLINE_FORWARD_SECRET: expected a value'],
  ])('%j has a fault under its own name', (env, expected) => {
    const faults = faultsOf(scratch(), '', { env });
    expect(faults).toEqual([expect.stringContaining(expected)]);
    expect(faults[0]).not.toContain('changeme');
  });

  test('with several faults in its list has all of them told', () => {
    expect(faultsOf(scratch(), '', { env: { ADMIN_EMAILS: 'root,a@example.com,admin' } })).toEqual([
      expect.stringContaining('"root"'),
      expect.stringContaining('"admin"'),
    ]);
  });

  test('that holds a secret beside a ring of secrets is refused, unless it is the newest of them', () => {
    const yaml = `forward_secrets: [${GOOD_SECRET}, ${OTHER_SECRET}]\n`;
    expect(configOf(scratch(), yaml, { env: { FORWARD_SECRET: GOOD_SECRET } }).forwardSecrets).toEqual([GOOD_SECRET, OTHER_SECRET]);
    expect(faultsOf(scratch(), yaml, { env: { FORWARD_SECRET: OTHER_SECRET } })).toEqual([
      expect.stringContaining('environment: FORWARD_SECRET: expected the variable unset, or equal to the first of forward_secrets'),
    ]);
  });
});

describe('a secret in a file', () => {
  const load = (content: string) => {
    const dir = scratch();
    return configOf(dir, '', { env: { TOWLINE_FORWARD_SECRET_FILE: put(join(dir, 'secret'), content) } }).forwardSecrets;
  };

  test.each([
    ['as it is', GOOD_SECRET, GOOD_SECRET],
    ['without the newline at its end', `${GOOD_SECRET}\n`, GOOD_SECRET],
    ['without the CRLF at its end', `${GOOD_SECRET}\r\n`, GOOD_SECRET],
    ['with all but one newline', `${GOOD_SECRET}\n\n`, `${GOOD_SECRET}\n`],
  ])('is read %s', (_, content, secret) => expect(load(content)).toEqual([secret]));

  test('is also read by the older name, where the new one is not set', () => {
    const dir = scratch();
    const file = put(join(dir, 'secret'), GOOD_SECRET);
    expect(configOf(dir, '', { env: { FORWARD_SECRET_FILE: file } }).forwardSecrets).toEqual([GOOD_SECRET]);
    expect(configOf(dir, '', { env: { FORWARD_SECRET_FILE: file, TOWLINE_FORWARD_SECRET: OTHER_SECRET } }).forwardSecrets).toEqual([
      OTHER_SECRET,
    ]);
  });

  test.each([
    [
      'is missing',
      (dir: string) => join(dir, 'none'),
      /_FILE: expected the path of a readable file with the secret, found .*none, which cannot be read \(ENOENT\)/,
    ],
    ['is a folder', (dir: string) => dir, /which is no regular file/],
    ['is empty', (dir: string) => put(join(dir, 'empty'), '\n'), /which is empty/],
    ['is huge', (dir: string) => put(join(dir, 'huge'), 'x'.repeat(70_000)), /of 70000 bytes/],
    ['has no name', () => '', /found an empty text/],
    [
      'is weak',
      (dir: string) => put(join(dir, 'weak'), 'changeme'),
      /TOWLINE_FORWARD_SECRET_FILE: expected a random secret .* found a text of 8 characters/,
    ],
  ])('that %s is refused', (_, make, expected) => {
    const dir = scratch();
    expect(faultsOf(dir, '', { env: { TOWLINE_FORWARD_SECRET_FILE: make(dir) } })).toEqual([expect.stringMatching(expected)]);
  });

  test('beside the variable itself is refused', () => {
    const dir = scratch();
    const env = { FORWARD_SECRET: GOOD_SECRET, FORWARD_SECRET_FILE: put(join(dir, 'secret'), GOOD_SECRET) };
    expect(faultsOf(dir, '', { env })).toEqual([
      'environment: FORWARD_SECRET_FILE: expected either FORWARD_SECRET or FORWARD_SECRET_FILE, found both set',
    ]);
  });
});

describe('a flag of the command line', () => {
  test('wins over variable and file', () => {
    const dir = scratch();
    const start = {
      env: { TOWLINE_PORT: '2', TOWLINE_HOST: '10.0.0.2', TOWLINE_DATA: '/b' },
      flags: { port: '3', host: '127.0.0.1', data: 'c' },
    };
    const config = configOf(dir, 'server: { port: 1, host: 10.0.0.1, tls: { enabled: false } }\ndata: /a\n', start);
    expect(config).toMatchObject({ server: { port: 3, host: '127.0.0.1' }, dataDir: join(dir, 'c') });
  });

  test('has its faults under its own name', () => {
    expect(faultsOf(scratch(), '', { flags: { port: 'x' } })).toEqual([
      'command line: --port: expected a port from 0 to 65535, found the text "x"',
    ]);
  });
});
