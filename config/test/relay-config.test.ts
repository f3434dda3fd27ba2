import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadRelayConfig } from '../src/relay/index.ts';
import { configOf, GOOD_SECRET, OTHER_SECRET } from './relay-fixture.ts';
import { scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();

describe('the configuration of a relay', () => {
  test('without a file is SQLite, API keys, shell, exec and TLS on port 8085', () => {
    const config = loadRelayConfig({ env: {}, cwd: '/srv' });
    expect(config).toMatchObject({
      baseDir: '/srv',
      server: { host: '0.0.0.0', port: 8085, tls: { enabled: true }, trustedProxies: [] },
      dataDir: '/srv/towline-data',
      logLevel: 'info',
      adminEmails: [],
      forwardSecrets: [],
      store: { use: 'sqlite', options: {} },
      auth: [{ use: 'apikey', options: {} }],
      audit: { sinks: [] },
      streams: [{ use: 'shell' }, { use: 'exec' }, { use: 'files' }, { use: 'forward' }],
      transports: [{ use: 'tls' }, { use: 'quic' }],
      plugins: [],
      enrolment: { expiryMs: 3_600_000, maxPendingPerOwner: 20, maxPendingPerAddress: 10 },
    });
    expect(config).not.toHaveProperty('file');
    expect(config.store).not.toHaveProperty('line');
  });

  // One row a key: what is written, and what becomes of it. docs/config.md is held against the schema in its own test.
  test.each([
    ['server.host', 'server: { host: "::1" }', { server: { host: '::1' } }],
    ['server.port', 'server: { port: 0 }', { server: { port: 0 } }],
    [
      'server.public_url',
      'server: { public_url: "https://Relay.example.com:443/" }',
      { server: { publicUrl: 'https://relay.example.com' } },
    ],
    ['server.tls.enabled', 'server: { host: 127.0.0.1, tls: { enabled: false } }', { server: { tls: { enabled: false } } }],
    [
      'server.trusted_proxies',
      'server: { trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1] }',
      { server: { trustedProxies: ['10.0.0.0/8', 'fd00::/8', '192.0.2.1'] } },
    ],
    ['data', 'data: /var/lib/towline', { dataDir: '/var/lib/towline' }],
    ['log_level', 'log_level: warn', { logLevel: 'warn' }],
    [
      'admin_emails',
      'admin_emails: [Ada@Example.com, ada@example.com, bob@example.com]',
      { adminEmails: ['ada@example.com', 'bob@example.com'] },
    ],
    ['forward_secret', `forward_secret: ${GOOD_SECRET}`, { forwardSecrets: [GOOD_SECRET] }],
    ['forward_secrets', `forward_secrets: [${OTHER_SECRET}, ${GOOD_SECRET}]`, { forwardSecrets: [OTHER_SECRET, GOOD_SECRET] }],
    ['store', 'store: { use: mongo, uri: "mongodb://h/d" }', { store: { use: 'mongo', options: { uri: 'mongodb://h/d' } } }],
    [
      'auth',
      'auth:\n  - apikey\n  - { use: oidc, issuer: x }',
      {
        auth: [
          { use: 'apikey', line: 2 },
          { use: 'oidc', options: { issuer: 'x' }, line: 3 },
        ],
      },
    ],
    [
      'audit.sinks',
      'audit: { sinks: [file, { use: syslog, required: false, port: 1 }] }',
      {
        audit: {
          sinks: [
            { use: 'file', required: true, options: {} },
            { use: 'syslog', required: false, options: { port: 1 } },
          ],
        },
      },
    ],
    ['streams', 'streams: []', { streams: [] }],
    ['transports', 'transports: [tls, quic]', { transports: [{ use: 'tls' }, { use: 'quic' }] }],
    ['plugins', 'plugins: ["@acme/towline-auth-sso", ./mine]', { plugins: ['@acme/towline-auth-sso', './mine'] }],
    ['enrolment.expiry', 'enrolment: { expiry: 90s }', { enrolment: { expiryMs: 90_000 } }],
    ['enrolment.max_pending_per_owner', 'enrolment: { max_pending_per_owner: 1 }', { enrolment: { maxPendingPerOwner: 1 } }],
    ['enrolment.max_pending_per_address', 'enrolment: { max_pending_per_address: 7 }', { enrolment: { maxPendingPerAddress: 7 } }],
  ])('takes %s', (_, yaml, expected) => expect(configOf(scratch(), yaml)).toMatchObject(expected));

  test('resolves the paths in a file from the folder of the file', () => {
    const dir = scratch();
    const config = configOf(dir, 'data: state\nserver: { tls: { cert_file: tls/cert.pem, key_file: tls/key.pem } }\n');
    expect(config).toMatchObject({ baseDir: dir, file: join(dir, 'towline.yaml'), dataDir: join(dir, 'state') });
    expect(config.server.tls).toEqual({ enabled: true, certFile: join(dir, 'tls/cert.pem'), keyFile: join(dir, 'tls/key.pem') });
    expect(configOf(dir, '').dataDir).toBe(join(dir, 'towline-data'));
  });

  test('puts variables into texts, and turns them into what the key wants', () => {
    const yaml = `server: { port: "\${PORT:-8085}", host: \${HOST}, tls: { enabled: \${TLS} } }\nenrolment: { expiry: "\${HOURS}h" }\n`;
    const config = configOf(scratch(), yaml, { env: { HOST: 'localhost', TLS: 'false', HOURS: '2' } });
    expect(config).toMatchObject({
      server: { port: 8085, host: 'localhost', tls: { enabled: false } },
      enrolment: { expiryMs: 7_200_000 },
    });
  });

  test.each([
    [`store: { use: mongo, uri: \${URI} }`, { uri: 'mongodb://h' }],
    [`store: {use: mongo, uri: \${URI}/\${DB:-towline}, tls: \${TLS:-}}`, { uri: 'mongodb://h/towline', tls: '' }],
    [`store: {"use":"mongo","list":[\${URI},\${DB:-x}]}`, { list: ['mongodb://h', 'x'] }],
    [`store: { use: mongo, uri: $$\{URI} }`, { uri: `\${URI}` }],
    [`store: { use: mongo, uri: "\uE000\uE001\${URI}" }`, { uri: '\uE000\uE001mongodb://h' }],
    [`store:\n  use: mongo\n  uri: |\n    \${URI}\n`, { uri: 'mongodb://h\n' }],
  ])('takes a variable without quotes in %j', (yaml, options) => {
    expect(configOf(scratch(), yaml, { env: { URI: 'mongodb://h' } }).store.options).toEqual(options);
  });

  test('cannot be added to by what a variable holds', () => {
    const config = configOf(scratch(), `plugins: [ "\${NAME}" ]\n`, { env: { NAME: 'x" ]\nlog_level: debug\n#' } });
    expect(config.plugins).toEqual(['x" ]\nlog_level: debug\n#']);
    expect(config.logLevel).toBe('info');
  });

  test('keeps a secret of digits as the text that it is', () => {
    const digits = '31415926535897932384626433832795028841';
    expect(configOf(scratch(), `forward_secret: \${S}\n`, { env: { S: digits } }).forwardSecrets).toEqual([digits]);
  });

  test('may repeat values by anchors', () => {
    const config = configOf(scratch(), 'enrolment: { max_pending_per_owner: &n 5, max_pending_per_address: *n }\n');
    expect(config.enrolment).toMatchObject({ maxPendingPerOwner: 5, maxPendingPerAddress: 5 });
  });
});

describe('an entry of a plugin', () => {
  const yaml = `auth:\n  - use: oidc\n    issuer: https://id.example.com\n    limits:\n      burst: \${BURST}\n    name: "\${BURST}"\n    open: \${OPEN}\n`;
  const schema = {
    properties: { limits: { $ref: '#/$defs/limits' }, name: { type: 'string' }, open: { anyOf: [{ type: 'boolean' }, { type: 'null' }] } },
    $defs: { limits: { properties: { burst: { type: 'integer' } } } },
  };
  const load = () => configOf(scratch(), yaml, { env: { BURST: '10', OPEN: 'true' } });

  test('keeps its options, with texts where variables were', () => {
    expect(load().auth[0]?.options).toEqual({ issuer: 'https://id.example.com', limits: { burst: '10' }, name: '10', open: 'true' });
  });

  test('gives options as the schema of the plugin wants them', () => {
    const config = load();
    expect(config.optionsOf(config.auth[0]!, schema)).toEqual({
      issuer: 'https://id.example.com',
      limits: { burst: 10 },
      name: '10',
      open: true,
    });
    expect(config.optionsOf(config.store, schema)).toEqual({});
  });

  test('leaves out of the options of a sink what belongs to the relay', () => {
    const config = configOf(scratch(), 'audit: { sinks: [ { use: file, required: false, path: a } ] }\n');
    expect(config.optionsOf(config.audit.sinks[0]!, {})).toEqual({ path: 'a' });
  });

  test('places later faults on the line of the option, or of the entry that lacks it', () => {
    const config = load();
    expect(config.faultAt(['auth', 0, 'limits', 'burst'], 'less')).toEqual({
      file: 'towline.yaml',
      line: 5,
      key: 'auth[0].limits.burst',
      expected: 'less',
      found: `a text of 2 characters from \${BURST}`,
    });
    expect(config.faultAt(['auth', 0, 'client_id'], 'a text')).toMatchObject({ line: 2, found: 'nothing' });
    expect(config.faultAt(['auth', 0, 'issuer'], 'another', 'this one')).toMatchObject({ line: 3, found: 'this one' });
    expect(config.unknownKeyAt(['auth', 0, 'isuer'], ['issuer', 'audience'])).toMatchObject({
      line: 2,
      expected: 'a known key; did you mean issuer?',
    });
    expect(config.faultAt(['store', 'path'], 'a path')).toMatchObject({ file: 'towline.yaml', key: 'store.path' });
  });

  test('shows no text of its options, for it may be a secret', () => {
    const config = configOf(scratch(), 'store: { use: mongo, uri: hunter2 }\n');
    expect(config.faultAt(['store', 'uri'], 'a URI').found).toBe('a text of 7 characters');
  });

  test('survives a schema that refers to itself', () => {
    const config = load();
    const endless = { $ref: '#', anyOf: [{ $ref: '#' }, { $ref: '#/nowhere' }] };
    expect(config.optionsOf(config.auth[0]!, endless)).toEqual(config.auth[0]!.options);
  });
});
