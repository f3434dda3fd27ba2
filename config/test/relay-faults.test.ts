import { isTowlineError } from '@towline/protocol';
import { describe, expect, test } from 'vitest';
import { loadRelayConfig } from '../src/relay/index.ts';
import { faultsOf, GOOD_SECRET, OTHER_SECRET } from './relay-fixture.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();

describe('a fault of the configuration', () => {
  test('comes with all others in one error, one a line, in the order of the file', () => {
    const dir = scratch();
    put(`${dir}/towline.yaml`, `server:\n  prot: 80\n  host: "a b"\nlog_level: loud\nforward_secret: short\ndata: \${NOWHERE}\n`);
    const load = () => loadRelayConfig({ file: 'towline.yaml', cwd: dir, env: { TOWLINE_PORT: 'http' } });
    expect(load).toThrow(
      [
        'The configuration has 6 faults:',
        'towline.yaml:2: server.prot: expected a known key; did you mean port?, found an unknown key',
        'towline.yaml:3: server.host: expected an IP address or host name, found the text "a b"',
        'towline.yaml:4: log_level: expected debug, info, warn or error, found the text "loud"',
        'towline.yaml:5: forward_secret: expected a random secret of at least 32 characters, such as `openssl rand -base64 32` prints, found a text of 5 characters',
        `towline.yaml:6: data: expected the environment variable NOWHERE to be set, or a default as in \${NOWHERE:-default}, found it unset`,
        'environment: TOWLINE_PORT: expected a port from 0 to 65535, found the text "http"',
      ].join('\n'),
    );
    expect.assertions(2);
    try {
      load();
    } catch (error) {
      expect(isTowlineError(error) && error.code).toBe('config_invalid');
    }
  });

  test.each([
    ['a port that is none', 'server: { port: 65536 }', 'server.port: expected a port from 0 to 65535, found the number 65536'],
    ['a port with a fraction', 'server: { port: 80.5 }', 'server.port: expected a port from 0 to 65535, found the number 80.5'],
    ['a port in quotes', 'server: { port: "80" }', 'server.port: expected a port from 0 to 65535, found the text "80"'],
    ['an empty value', 'server:', 'server: expected a mapping of keys to values, found nothing'],
    ['an empty list entry', 'auth: [ ]', 'auth: expected at least one auth plugin, found a list'],
    ['a list in place of a mapping', 'server: []', 'server: expected a mapping of keys to values, found a list'],
    ['a mapping in place of a list', 'streams: {}', 'streams: expected a list of stream plugins, found a mapping'],
    ['yes in place of true', 'server: { tls: { enabled: yes } }', 'server.tls.enabled: expected true or false, found the text "yes"'],
    ['a duration without unit', 'enrolment: { expiry: 30 }', 'enrolment.expiry: expected a duration such as'],
    ['a duration of nothing', 'enrolment: { expiry: 0s }', 'from 1s to 30d, found the text "0s"'],
    ['an address with a slip', 'server: { host: 10.0.0.300 }', 'server.host: expected an IP address or host name'],
    ['a public URL without TLS', 'server: { public_url: "http://r.example" }', 'server.public_url: expected an https URL'],
    ['a public URL with a path', 'server: { public_url: "https://r.example/x" }', 'server.public_url: expected an https URL'],
    ['a proxy network of everybody', 'server: { trusted_proxies: [0.0.0.0/0] }', 'server.trusted_proxies[0]: expected a network'],
    ['a proxy network of impossible length', 'server: { trusted_proxies: [10.0.0.0/33] }', 'server.trusted_proxies[0]: expected a network'],
    ['an admin without address', 'admin_emails: [root]', 'admin_emails[0]: expected an e-mail address, found the text "root"'],
    ['an entry without use', 'auth: [ { issuer: x } ]', 'auth[0].use: expected the name of a plugin'],
    [
      'an entry that is a number',
      'streams: [ 5 ]',
      'streams[0]: expected the name of a plugin, or a mapping with `use: NAME` and its options, found the number 5',
    ],
    ['a name that is none', 'store: ../evil', 'store: expected the name of a plugin'],
    [
      'a sink that may be required',
      'audit: { sinks: [ { use: file, required: maybe } ] }',
      'audit.sinks[0].required: expected true or false, found the text "maybe"',
    ],
    ['a stream twice', 'streams: [ shell, { use: shell } ]', 'streams[1]: expected each entry once'],
    [
      'an unknown key deep inside',
      'server: { tls: { certfile: x } }',
      'server.tls.certfile: expected a known key; did you mean cert_file?, found an unknown key',
    ],
    ['a key of a later version', 'performance: { rate_limit: {} }', 'performance: expected one of server, data, '],
    ['a mapping where nothing is known', 'audit: { sink: [] }', 'audit.sink: expected a known key; did you mean sinks?'],
    [
      'TLS switched off in public',
      'server: { tls: { enabled: false } }',
      'server.tls.enabled: expected true, or server.host to be a loopback address',
    ],
    [
      'TLS switched off on a public address',
      'server: { host: 192.0.2.1, tls: { enabled: false } }',
      'server.tls.enabled: expected true, or',
    ],
    ['a certificate alone', 'server: { tls: { cert_file: a } }', 'server.tls.cert_file: expected key_file beside it'],
    ['a key alone', 'server: { tls: { key_file: a } }', 'server.tls.key_file: expected cert_file beside it'],
    [
      'a certificate that is not used',
      'server: { host: ::1, tls: { enabled: false, cert_file: a, key_file: b } }',
      'server.tls.cert_file: expected no certificate',
    ],
  ])('tells of %s', (_, yaml, expected) => {
    const faults = faultsOf(scratch(), yaml);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`towline.yaml:1: ${expected}`.replace('towline.yaml:1: from', 'from'));
  });

  test('is listed fifty times at most', () => {
    const dir = scratch();
    put(`${dir}/towline.yaml`, Array.from({ length: 80 }, (_, at) => `unknown${at}: 1`).join('\n'));
    const load = () => loadRelayConfig({ file: 'towline.yaml', cwd: dir, env: {} });
    expect(load).toThrow(/80 faults:[\s\S]*… and 30 more$/);
  });
});

describe('a forward secret', () => {
  test.each([
    ['short', 'x1Y2z3W4', 'a text of 8 characters'],
    ['one letter', 'a'.repeat(40), 'a text of 40 characters'],
    ['a repeated word', 'changeme'.repeat(5), 'a text of 40 characters'],
    ['a repeated sequence', '0123456789abcdef'.repeat(2), 'a text of 32 characters'],
    ['an example', 'Please-change-me-to-32-characters!', 'a text of 34 characters'],
    ['a placeholder', 'your-secret-goes-here-0000-1111-2222', 'a text of 36 characters'],
    ['a password', 'my-Very-long-passWord-for-the-relay-77', 'a text of 38 characters'],
    ['empty', '', 'an empty text'],
  ])('that is %s is refused and never shown', (_, secret, found) => {
    for (const yaml of [`forward_secret: "${secret}"`, `forward_secrets: [ ${GOOD_SECRET}, "${secret}" ]`]) {
      const faults = faultsOf(scratch(), yaml).join('\n');
      expect(faults).toContain(`found ${found}`);
      if (secret !== '') expect(faults).not.toContain(secret);
    }
  });

  test.each([
    ['a number', 'forward_secret: 123456', 'found a number'],
    ['a mapping', `forward_secret: { value: ${GOOD_SECRET} }`, 'found a mapping'],
    [
      'one text where a list belongs',
      `forward_secrets: ${GOOD_SECRET}`,
      'expected a list of secrets, the newest first, found a text of 43 characters',
    ],
    ['an empty list', 'forward_secrets: []', 'expected at least one secret'],
    ['one secret twice', `forward_secrets: [${GOOD_SECRET}, ${GOOD_SECRET}]`, 'forward_secrets[1]: expected each entry once'],
    [
      'both keys',
      `forward_secret: ${GOOD_SECRET}\nforward_secrets: [${OTHER_SECRET}]`,
      'expected either forward_secret or forward_secrets, found both',
    ],
  ])('as %s is refused and never shown', (_, yaml, expected) => {
    const faults = faultsOf(scratch(), yaml);
    expect(faults).toEqual([expect.stringContaining(expected)]);
    for (const secret of ['123456', GOOD_SECRET, OTHER_SECRET]) expect(faults.join('\n')).not.toContain(secret);
  });

  test('that came into another key by a variable is not shown there', () => {
    const faults = faultsOf(scratch(), `log_level: \${S}\nserver: { public_url: "https://user:hunter2@host" }\n`, {
      env: { S: 'hunter3' },
    });
    expect(faults).toHaveLength(2);
    expect(faults.join()).not.toMatch(/hunter/);
    expect(faults[0]).toContain(`found a text of 7 characters from \${S}`);
  });
});
