import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRelayConnector } from '../src/trust/relay-connector.ts';
import { TLS_POLICY } from '../src/trust/tls-policy.ts';
import { byPin, createContext, fingerprintOf, other, sendCredential, serve, servers } from './trust-attempt.ts';
import { makeTestCertificate, makeTestPair } from './trust-certificates.ts';
import { startRecordingServer } from './trust-recording-server.ts';

describe('a pinned relay', () => {
  it('is not believed because the given or the system roots know it', async () => {
    const pair = makeTestPair();
    const server = await serve(pair.leaf, pair.chainPem);
    const { error } = await sendCredential(`localhost:${server.port}`, { ca: pair.ca.pem, ...byPin(other) });
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringContaining(fingerprintOf(pair.ca)) });
  });

  it('may renew leaf and CA certificate under the same key, without a new connector', async () => {
    const key = other.ca.key;
    const pairOf = (name: string) => {
      const ca = makeTestCertificate({ name, isAuthority: true, key });
      const leaf = makeTestCertificate({ name: 'relay', issuer: ca, dnsNames: ['localhost'] });
      return { ca, leaf, chainPem: leaf.pem + ca.pem };
    };
    let current = pairOf('first');
    const server = await startRecordingServer({
      cert: current.chainPem,
      key: current.leaf.keyPem,
      SNICallback: (_name, done) => done(null, createContext(current)),
    });
    servers.push(server);
    const relay = new URL(`https://localhost:${server.port}`);
    const connector = createRelayConnector({ relay, trust: byPin(current), environment: {}, warn: () => undefined });
    (await connector.connect(new AbortController().signal)).destroy();
    current = pairOf('second');
    (await connector.connect(new AbortController().signal)).destroy();
    expect(server.connections()).toBe(5);
  });

  it.each(['', 'sha256:', `sha1:${'a'.repeat(64)}`, 'a'.repeat(64), `sha256:${'g'.repeat(64)}`, `sha256:${'a'.repeat(63)}`])(
    'is not dialled with the fingerprint %j',
    async (fingerprint) => {
      const server = await serve(other.leaf, other.chainPem);
      expect((await sendCredential(`localhost:${server.port}`, { fingerprint })).error).toMatchObject({ code: 'config_invalid' });
      expect(server.connections()).toBe(0);
    },
  );
});

describe('roots', () => {
  it.each([
    '',
    'no certificate',
    other.ca.pem.slice(0, 200),
    other.ca.pem.replace(/\n.{64}\n/, '\nAAAA\n'),
    `${other.ca.pem}-----BEGIN CERTIFICATE-----\n`,
  ])('given as a text that is damaged are an error, never skipped (%#)', async (ca) => {
    const server = await serve(other.leaf, other.chainPem);
    expect((await sendCredential(`localhost:${server.port}`, { ca })).error).toMatchObject({ code: 'config_invalid' });
    expect(server.connections()).toBe(0);
  });

  it('come from SSL_CERT_FILE, and it is an error when that cannot be used', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'towline-trust-'));
    try {
      const file = join(dir, 'roots.pem');
      writeFileSync(file, other.ca.pem);
      const server = await serve(other.leaf, other.chainPem);
      const attempt = (path: string) => sendCredential(`localhost:${server.port}`, {}, { environment: { SSL_CERT_FILE: path } });
      expect((await attempt(file)).error).toBeUndefined();
      expect((await attempt(join(dir, 'none.pem'))).error).toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining('none.pem'),
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('with verification switched off', () => {
  it('every connection warns, and says which relay is meant', async () => {
    const pair = makeTestPair({ dnsNames: ['other.example.com'] });
    const server = await serve(pair.leaf, pair.chainPem);
    const warnings: string[] = [];
    const relay = new URL(`https://localhost:${server.port}`);
    const connector = createRelayConnector({ relay, trust: { trustInvalid: true }, environment: {}, warn: (text) => warnings.push(text) });
    for (let round = 0; round < 2; round += 1) (await connector.connect(new AbortController().signal)).destroy();
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain(`TOWLINE_TRUST_INVALID_CERT is set, so the certificate of localhost:${server.port} is NOT checked`);
  });
});

describe('the policy', () => {
  it('is understood by this OpenSSL and names forward secrecy with authenticated ciphers only', () => {
    expect(() => createContext(other)).not.toThrow();
    for (const cipher of TLS_POLICY.ciphers.split(':')) expect(cipher).toMatch(/^(TLS_|ECDHE-).*(GCM|POLY1305)/);
  });
});
