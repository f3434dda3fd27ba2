import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { fingerprintOfKey } from '@towline/link';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAuthority, makeLeaf } from './support/openssl.ts';
import { bin, type Program, runProgram, startProgram } from './support/process.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
/** What anybody sent to the impostor after its TLS handshake. */
let received = '';
let handshakes = 0;
let impostor: Server;
let impostorUrl: string;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  const authority = await makeAuthority(system.dir, 'impostor CA');
  const leaf = await makeLeaf(system.dir, 'impostor', { by: authority });
  const chain = readFileSync(leaf.cert, 'utf8') + readFileSync(authority.cert, 'utf8');
  impostor = createServer({ cert: chain, key: readFileSync(leaf.key) }, (socket) => {
    handshakes += 1;
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
  });
  impostor.on('tlsClientError', () => (handshakes += 1));
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  impostorUrl = `https://127.0.0.1:${(impostor.address() as AddressInfo).port}`;
});
afterAll(async () => {
  impostor?.close();
  await system[Symbol.asyncDispose]();
});

/** Environment of a user without anything that was set up before. */
const fresh = (name: string, env: Record<string, string> = {}) => ({ TOWLINE_CONFIG_DIR: join(system.dir, name), ...env });
const caFile = () => join(relay.dir, 'ca.pem');
const login = (url: string, trust: readonly string[], env: Record<string, string>) =>
  runProgram(bin('towline'), ['login', '--relay', url, '--api-key', '-', ...trust], { env, stdin: `${relay.adminKey}\n` });
const runtime = (url: string, trust: readonly string[], env: Record<string, string>): Program =>
  startProgram(bin('towline-agent'), ['run', '--relay', url, '--email', 'admin@example.com', '--json', ...trust], { env });

describe('the certificate that a relay made for itself', () => {
  it('is one of the CA whose public key the ready line gives the fingerprint of', () => {
    const authority = new X509Certificate(readFileSync(caFile()));
    expect(authority.ca).toBe(true);
    expect(fingerprintOfKey(authority)).toBe(relay.fingerprint);
  });

  it('is not believed by itself', async () => {
    const { code, stderr } = await login(relay.url, [], fresh('no-trust'));
    expect(code).toBe(1);
    expect(stderr).toContain('--ca FILE or --fingerprint');
  });

  it.each([
    ['--fingerprint', () => ['--fingerprint', relay.fingerprint], () => ({})],
    ['--ca', () => ['--ca', caFile()], () => ({})],
    ['TOWLINE_TLS_FINGERPRINT', () => [], () => ({ TOWLINE_TLS_FINGERPRINT: relay.fingerprint })],
    ['TOWLINE_CA_FILE', () => [], () => ({ TOWLINE_CA_FILE: caFile() })],
  ])('is believed by towline with %s', async (name, trust, env) => {
    const { code, stdout, stderr } = await login(relay.url, trust(), fresh(`login${name}`, env()));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('platform admin');
  });

  it('is remembered from the login', async () => {
    const env = fresh('remembers');
    await login(relay.url, ['--fingerprint', relay.fingerprint], env);
    expect(await runProgram(bin('towline'), ['whoami'], { env })).toMatchObject({ code: 0, stderr: '' });
  });

  it.each([
    ['--fingerprint', () => ['--fingerprint', relay.fingerprint], () => ({})],
    ['--ca', () => ['--ca', caFile()], () => ({})],
  ])('is believed by a runtime with %s', async (name, trust, env) => {
    await using program = runtime(relay.url, trust(), fresh(`runtime${name}`, env()));
    await program.saw(/"event":"waiting"/);
  });
});

describe('a relay that is not the one', () => {
  const keys = () => ({
    user: { TOWLINE_API_KEY: relay.adminKey },
    enrolment: { TOWLINE_API_KEY: `twl_e_${'5'.repeat(16)}_${'ab'.repeat(32)}` },
  });

  it.each([
    ['another fingerprint', () => ({ TOWLINE_TLS_FINGERPRINT: relay.fingerprint })],
    ['another CA', () => ({ TOWLINE_CA_FILE: caFile() })],
    ['nothing that vouches for it', () => ({})],
  ])('is sent no byte by towline that goes by %s', async (name, trust) => {
    const before = handshakes;
    const env = fresh(`cli ${name}`, { TOWLINE_RELAY: impostorUrl, ...keys().user, ...trust() });
    for (const command of [['whoami'], ['pi', 'exec', '--', 'true']]) {
      const { code, stdout, stderr } = await runProgram(bin('towline'), command, { env });
      expect(code).toBeGreaterThan(0);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/not trusted|does not fit|fingerprint|certificate/i);
    }
    expect(handshakes).toBeGreaterThan(before);
    expect(received).toBe('');
  });

  it.each([
    ['another fingerprint', () => ['--fingerprint', relay.fingerprint]],
    ['another CA', () => ['--ca', caFile()]],
  ])('is sent no byte by a runtime with an enrolment key that goes by %s', async (name, trust) => {
    const before = handshakes;
    await using program = runtime(impostorUrl, trust(), fresh(`agent ${name}`, keys().enrolment));
    const { code, stderr } = await program.finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/fingerprint|certificate/i);
    expect(handshakes).toBeGreaterThan(before);
    expect(received).toBe('');
  });

  it('is not put in the place of the one that a device is enrolled at', async () => {
    await using device = await system.enrolDevice(relay, { name: 'loyal' });
    await device[Symbol.asyncDispose]();
    await using moved = startProgram(bin('towline-agent'), ['run', '--relay', impostorUrl, '--fingerprint', relay.fingerprint], {
      env: { TOWLINE_CONFIG_DIR: device.dir },
    });
    const { code, stderr } = await moved.finished;
    expect(code).toBe(1);
    expect(stderr).toContain(`The device is enrolled at ${relay.url}`);
    expect(received).toBe('');
  });
});

describe('a relay URL without TLS', () => {
  const plain = () => relay.url.replace('https:', 'http:');

  it('is refused by towline wherever it comes from, before anything is sent', async () => {
    const fromFlag = await runProgram(bin('towline'), ['--relay', plain(), 'whoami'], {
      env: fresh('flag', { TOWLINE_API_KEY: relay.adminKey }),
    });
    const fromEnvironment = await runProgram(bin('towline'), ['whoami'], {
      env: fresh('variable', { TOWLINE_RELAY: plain(), TOWLINE_API_KEY: relay.adminKey }),
    });
    for (const { code, stdout, stderr } of [fromFlag, fromEnvironment]) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('https://');
    }
  });

  it('is refused by a runtime wherever it comes from', async () => {
    const typed = runtime(plain(), [], fresh('typed'));
    const env = fresh('written');
    mkdirSync(env.TOWLINE_CONFIG_DIR, { mode: 0o700 });
    writeFileSync(join(env.TOWLINE_CONFIG_DIR, 'device.yaml'), `relay: ${plain()}\nowner: admin@example.com\n`);
    const written = startProgram(bin('towline-agent'), ['run'], { env });
    for (const program of [typed, written]) {
      const { code, stderr } = await program.finished;
      expect(code).toBe(2);
      expect(stderr).toContain('https');
    }
  });
});
