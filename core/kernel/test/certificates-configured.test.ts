import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CertificateOptions } from '../src/certificates/certificate-set.ts';
import { loadCertificates } from '../src/certificates/load-certificates.ts';

const DAY_MS = 86_400_000;
let dir: string;
let now: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'towline-certificates-'));
  // A minute ahead, since openssl lets its certificates begin with the second in which it makes them.
  now = Date.now() + 60_000;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function own(extra: Partial<CertificateOptions> = {}): CertificateOptions {
  return { dataDir: dir, hostName: 'tugboat', clock: { now: () => now }, ...extra };
}

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

describe('configured certificates', () => {
  /** A CA and a leaf by openssl; returns the paths. */
  function makeFiles(): { configured: { certFile: string; keyFile: string }; ca: string; leaf: string } {
    const at = (name: string) => join(dir, name);
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', '-x509', ...curve, '-keyout', at('ca.key'), '-out', at('root.pem'), '-subj', '/CN=Acme CA', '-days', '100');
    openssl('req', ...curve, '-keyout', at('leaf.key'), '-out', at('leaf.csr'), '-subj', '/CN=relay.acme.test');
    openssl(
      'x509',
      '-req',
      '-in',
      at('leaf.csr'),
      '-CA',
      at('root.pem'),
      '-CAkey',
      at('ca.key'),
      '-CAcreateserial',
      '-days',
      '50',
      '-out',
      at('leaf.pem'),
    );
    const [ca, leaf] = [readFileSync(at('root.pem'), 'utf8'), readFileSync(at('leaf.pem'), 'utf8')];
    writeFileSync(at('cert.pem'), leaf + ca);
    return { configured: { certFile: at('cert.pem'), keyFile: at('leaf.key') }, ca, leaf };
  }

  it('are read as they are; the fingerprint is that of the last certificate in the file', async () => {
    const { configured, ca, leaf } = makeFiles();
    const set = await loadCertificates(own({ configured }));
    expect(set.certPem).toBe(leaf + ca);
    expect(set.caPem).toBe(ca);
    const der = Buffer.from(
      openssl('x509', '-in', join(dir, 'root.pem'), '-noout', '-pubkey').replace(/-----[^-]+-----|\s/g, ''),
      'base64',
    );
    expect(set.fingerprint).toBe(`sha256:${createHash('sha256').update(der).digest('hex')}`);
    expect(existsSync(join(dir, 'tls'))).toBe(false);
  });

  const faults: [string, (files: ReturnType<typeof makeFiles>) => void, RegExp][] = [
    ['a missing certificate file', ({ configured }) => rmSync(configured.certFile), /cert_file .* cannot be read \(ENOENT\)/],
    ['a missing key file', ({ configured }) => rmSync(configured.keyFile), /key_file .* cannot be read \(ENOENT\)/],
    ['a certificate file without certificates', ({ configured }) => writeFileSync(configured.certFile, 'nothing'), /holds no certificate/],
    ['a certificate cut short', ({ configured, leaf }) => writeFileSync(configured.certFile, leaf.slice(0, 300)), /certificate/],
    ['a key file without a key', ({ configured }) => writeFileSync(configured.keyFile, 'nothing'), /holds no private key/],
    [
      'the key of another certificate',
      ({ configured }) => writeFileSync(configured.keyFile, readFileSync(join(dir, 'ca.key'))),
      /is not the key of/,
    ],
    [
      'a chain in the wrong order',
      ({ configured, ca, leaf }) => writeFileSync(configured.certFile, leaf + ca + leaf),
      /certificate 2 is not signed by certificate 3/,
    ],
    ['an expired certificate', () => (now += 51 * DAY_MS), /has expired on/],
    ['a certificate of the future', () => (now -= 5 * DAY_MS), /is not valid before/],
    [
      'an encrypted key',
      ({ configured }) => openssl('ec', '-in', join(dir, 'leaf.key'), '-aes256', '-passout', 'pass:secret', '-out', configured.keyFile),
      /is encrypted/,
    ],
  ];
  it.each(faults)('are refused for %s, in words', async (_what, spoil, words) => {
    const files = makeFiles();
    spoil(files);
    await expect(loadCertificates(own({ configured: files.configured }))).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(words),
    });
  });

  it('are refused when OpenSSL would not serve them', async () => {
    const [certFile, keyFile] = [join(dir, 'weak.pem'), join(dir, 'weak.key')];
    openssl('req', '-x509', '-newkey', 'rsa:512', '-nodes', '-keyout', keyFile, '-out', certFile, '-subj', '/CN=weak', '-days', '10');
    await expect(loadCertificates(own({ configured: { certFile, keyFile } }))).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('TLS cannot use'),
    });
  });
});
