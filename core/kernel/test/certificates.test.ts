import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRelayConnector } from '@towline/link';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCertificates } from '../src/certificates/certificate-holder.ts';
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

function fileMode(path: string): number {
  return statSync(join(dir, path)).mode & 0o777;
}

describe('self-made certificates', () => {
  it('are accepted by openssl verify, for a server and each of its names', async () => {
    const set = await loadCertificates(
      own({ publicUrl: new URL('https://relay.example.com:8085'), names: ['10.1.2.3', '[fd00::1]', 'Extra.Example.org'] }),
    );
    writeFileSync(join(dir, 'chain.pem'), set.certPem);
    const verify = (...how: string[]) =>
      openssl('verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', join(dir, 'ca.pem'), ...how, join(dir, 'chain.pem'));
    for (const name of ['localhost', 'tugboat', 'relay.example.com', 'extra.example.org'])
      expect(verify('-verify_hostname', name)).toContain('OK');
    for (const address of ['127.0.0.1', '::1', '10.1.2.3', 'fd00::1']) expect(verify('-verify_ip', address)).toContain('OK');
    expect(() => verify('-verify_hostname', 'other.example.com')).toThrow();
  });

  it('live ten years for the CA and 397 days for the leaf, on P-256', async () => {
    const set = await loadCertificates(own());
    const [ca, leaf] = [new X509Certificate(set.caPem), new X509Certificate(set.certPem)];
    expect(Math.round((Date.parse(ca.validTo) - now) / DAY_MS)).toBe(3_650);
    expect(Math.round((Date.parse(leaf.validTo) - now) / DAY_MS)).toBe(397);
    expect(set.expiresAt).toBe(Date.parse(leaf.validTo));
    expect([ca.ca, leaf.ca]).toEqual([true, false]);
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(openssl('x509', '-in', join(dir, 'ca.pem'), '-noout', '-text')).toContain('pathlen:0');
  });

  it('have the fingerprint that openssl computes of the public key of the CA', async () => {
    const { fingerprint } = await loadCertificates(own());
    const publicKey = openssl('x509', '-in', join(dir, 'ca.pem'), '-noout', '-pubkey');
    const der = Buffer.from(publicKey.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    expect(fingerprint).toBe(`sha256:${createHash('sha256').update(der).digest('hex')}`);
  });

  it('keep keys from others and leave no temporary file', async () => {
    await loadCertificates(own());
    expect(fileMode('tls')).toBe(0o700);
    expect(fileMode('tls/authority.pem')).toBe(0o600);
    expect(fileMode('tls/relay.pem')).toBe(0o600);
    expect(readdirSync(join(dir, 'tls')).sort()).toEqual(['authority.pem', 'relay.pem']);
    expect(readFileSync(join(dir, 'ca.pem'), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('tighten a folder that others can enter', async () => {
    mkdirSync(join(dir, 'tls'), { mode: 0o755 });
    await loadCertificates(own());
    expect(fileMode('tls')).toBe(0o700);
  });

  it('are the same at the next start', async () => {
    const first = await loadCertificates(own());
    now += 300 * DAY_MS;
    expect(await loadCertificates(own())).toEqual(first);
  });

  it('get a new leaf with a new key 30 days before its end, under the same CA', async () => {
    const first = await loadCertificates(own());
    now += 368 * DAY_MS;
    const second = await loadCertificates(own());
    expect(second.keyPem).not.toBe(first.keyPem);
    expect(second.expiresAt).toBeGreaterThan(first.expiresAt);
    expect([second.caPem, second.fingerprint]).toEqual([first.caPem, first.fingerprint]);
  });

  it('get a new leaf when a name is added, and when one is taken away', async () => {
    const first = await loadCertificates(own());
    const second = await loadCertificates(own({ names: ['new.example.com'] }));
    expect(new X509Certificate(second.certPem).checkHost('new.example.com')).toBeDefined();
    const third = await loadCertificates(own());
    expect(new X509Certificate(third.certPem).checkHost('new.example.com')).toBeUndefined();
    expect(new Set([first.keyPem, second.keyPem, third.keyPem]).size).toBe(3);
    expect(third.fingerprint).toBe(first.fingerprint);
  });

  it('renew the certificate of the CA with the same key before it ends, so that fingerprints stay true', async () => {
    const first = await loadCertificates(own());
    now += 3_000 * DAY_MS;
    const second = await loadCertificates(own());
    expect(second.caPem).not.toBe(first.caPem);
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(readFileSync(join(dir, 'ca.pem'), 'utf8')).toBe(second.caPem);
    // Diallers that hold the older CA file still believe the new leaf.
    writeFileSync(join(dir, 'old-ca.pem'), first.caPem);
    writeFileSync(join(dir, 'chain.pem'), second.certPem);
    const at = String(Math.floor(now / 1_000));
    expect(openssl('verify', '-attime', at, '-CAfile', join(dir, 'old-ca.pem'), join(dir, 'chain.pem'))).toContain('OK');
  });

  it('put ca.pem back when it was deleted or changed', async () => {
    const { caPem } = await loadCertificates(own());
    writeFileSync(join(dir, 'ca.pem'), 'something else');
    await loadCertificates(own());
    expect(readFileSync(join(dir, 'ca.pem'), 'utf8')).toBe(caPem);
  });

  it('survive host names that no certificate can carry', async () => {
    const set = await loadCertificates(own({ hostName: '', names: ['0.0.0.0', '::', 'bücher.example', 'fe80::1%eth0', 'a b'] }));
    const names = new X509Certificate(set.certPem).subjectAltName;
    expect(names).toContain('xn--bcher-kva.example');
    expect(names).not.toContain('0.0.0.0');
    expect(await loadCertificates(own({ hostName: '', names: ['bücher.example', 'FE80:0::1'] }))).toEqual(set);
  });

  it('serve a dialler that pins the fingerprint, also after the leaf was renewed', async () => {
    const pinned = (await loadCertificates(own())).fingerprint;
    const set = await loadCertificates(own({ names: ['renewed.example.com'] }));
    const server = createServer({ cert: set.certPem, key: set.keyPem });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const relay = new URL(`https://localhost:${(server.address() as AddressInfo).port}`);
    const connector = createRelayConnector({ relay, trust: { fingerprint: pinned }, environment: {}, warn: () => undefined });
    const socket = await connector.connect(AbortSignal.timeout(5_000));
    expect(socket.authorized).toBe(true);
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('damaged files of our own', () => {
  const damages: [string, (text: string) => string][] = [
    ['is empty', () => ''],
    ['is cut short', (text) => text.slice(0, text.length / 2)],
    ['has a key that is not base64', (text) => text.replace(/PRIVATE KEY-----\n..../, 'PRIVATE KEY-----\n????')],
    ['has lost its key', (text) => text.slice(text.indexOf('-----BEGIN CERTIFICATE'))],
    ['has a certificate of zeros', (text) => text.replace(/(BEGIN CERTIFICATE-----\n).{64}/, `$1${'A'.repeat(64)}`)],
  ];
  for (const file of ['authority.pem', 'relay.pem']) {
    it.each(damages)(`are reported by name when ${file} %s, and not replaced`, async (_what, damage) => {
      await loadCertificates(own());
      const path = join(dir, 'tls', file);
      const text = damage(readFileSync(path, 'utf8'));
      writeFileSync(path, text);
      await expect(loadCertificates(own())).rejects.toMatchObject({ code: 'file_damaged', message: expect.stringContaining(path) });
      expect(readFileSync(path, 'utf8')).toBe(text);
    });
  }

  it('are reported when a key belongs to another certificate', async () => {
    await loadCertificates(own());
    const [authority, relay] = ['authority.pem', 'relay.pem'].map((name) => readFileSync(join(dir, 'tls', name), 'utf8'));
    const split = authority!.indexOf('-----BEGIN CERTIFICATE');
    writeFileSync(join(dir, 'tls/authority.pem'), authority!.slice(0, split) + relay!.slice(relay!.indexOf('-----BEGIN CERTIFICATE')));
    await expect(loadCertificates(own())).rejects.toMatchObject({ code: 'file_damaged' });
  });

  it('never lead to a new CA in silence: a lost authority.pem beside a leaf is an error', async () => {
    await loadCertificates(own());
    rmSync(join(dir, 'tls/authority.pem'));
    await expect(loadCertificates(own())).rejects.toMatchObject({
      code: 'file_damaged',
      message: expect.stringContaining('authority.pem'),
    });
  });

  it('are refused when others can read a key', async () => {
    await loadCertificates(own());
    chmodSync(join(dir, 'tls/relay.pem'), 0o640);
    await expect(loadCertificates(own())).rejects.toMatchObject({ code: 'credentials_unsafe' });
  });

  it('say that the data folder cannot be written', async () => {
    writeFileSync(join(dir, 'file'), '');
    await expect(loadCertificates(own({ dataDir: join(dir, 'file') }))).rejects.toMatchObject({ code: 'data_unwritable' });
  });

  it('do not mind what a crash left of a write', async () => {
    mkdirSync(join(dir, 'tls'));
    writeFileSync(join(dir, 'tls/authority.pem.new'), 'half');
    await loadCertificates(own());
    expect(existsSync(join(dir, 'tls/authority.pem.new'))).toBe(false);
  });
});

describe('a reload', () => {
  it('takes what is new, and says so when nothing is', async () => {
    const names: string[] = [];
    const holder = await openCertificates(own({ names }));
    const first = holder.current;
    expect(await holder.reload()).toEqual({ outcome: 'same' });
    names.push('later.example.com');
    expect(await holder.reload()).toMatchObject({ outcome: 'changed' });
    expect(holder.current.keyPem).not.toBe(first.keyPem);
  });

  it('keeps the old pair when the new one is broken, and recovers', async () => {
    const holder = await openCertificates(own());
    const first = holder.current;
    const path = join(dir, 'tls/relay.pem');
    const good = readFileSync(path);
    writeFileSync(path, 'broken');
    expect(await holder.reload()).toMatchObject({ outcome: 'failed', error: { code: 'file_damaged' } });
    expect(holder.current).toBe(first);
    writeFileSync(path, good);
    expect(await holder.reload()).toEqual({ outcome: 'same' });
  });

  it('is done in turn when asked for several times at once', async () => {
    const holder = await openCertificates(own());
    now += 380 * DAY_MS;
    const outcomes = await Promise.all([holder.reload(), holder.reload(), holder.reload()]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['changed', 'same', 'same']);
  });
});
