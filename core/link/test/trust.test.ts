import type { TrustSettings } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import { byCa, byPin, CREDENTIAL, createContext, fingerprintOf, other, sendCredential, serve, servers } from './trust-attempt.ts';
import { makeTestCertificate, makeTestPair, type TestCertificateOptions } from './trust-certificates.ts';
import { startRecordingServer } from './trust-recording-server.ts';

const DAY_MS = 86_400_000;

interface Row {
  readonly leaf?: Partial<TestCertificateOptions>;
  readonly host?: string;
  readonly listen?: string;
  readonly trust: (pair: ReturnType<typeof makeTestPair>) => TrustSettings;
  /** Chain to present, when it is not leaf and CA. */
  readonly chain?: (pair: ReturnType<typeof makeTestPair>) => string;
  /** Words of the verdict; left out where the certificate is to be believed. */
  readonly untrusted?: RegExp;
}

const noAddress = { addresses: [] };

const TABLE: Record<string, Row> = {
  'a private CA that is given': { trust: byCa },
  'a private CA among several that are given': { trust: ({ ca }) => ({ ca: `${other.ca.pem}comment\n${ca.pem}` }) },
  'a CA whose fingerprint is pinned': { trust: byPin },
  'a pinned fingerprint in capitals': { trust: (pair) => ({ fingerprint: byPin(pair).fingerprint.toUpperCase().replace('SHA', 'sha') }) },
  'an address in the certificate': { host: '127.0.0.1', trust: byCa },
  'an address in the certificate, pinned': { host: '127.0.0.1', trust: byPin },
  'an IPv6 address in the certificate': { host: '[::1]', listen: '::1', trust: byCa },
  'a leaf whose own fingerprint is pinned': { trust: ({ leaf }) => ({ fingerprint: fingerprintOf(leaf) }) },
  'a leaf that is given as CA': { trust: ({ leaf }) => ({ ca: leaf.pem }), chain: ({ leaf }) => leaf.pem },

  'no setting at all': { trust: () => ({}), untrusted: /signed by a CA that is not trusted/ },
  'another CA': { trust: () => byCa(other), untrusted: /signed by a CA that is not trusted/ },
  'a chain without its CA, which is not given': {
    trust: () => ({}),
    chain: ({ leaf }) => leaf.pem,
    untrusted: /signed by a CA that is not trusted/,
  },
  'another name': {
    leaf: { dnsNames: ['other.example.com'] },
    trust: byCa,
    untrusted: /not for localhost: it is for .*other\.example\.com/,
  },
  'another name, pinned': { leaf: { dnsNames: ['other.example.com'] }, trust: byPin, untrusted: /not for localhost/ },
  'a name in the subject alone': {
    leaf: { name: 'localhost', dnsNames: [], ...noAddress },
    trust: byCa,
    untrusted: /names no host at all/,
  },
  'a wildcard over a whole domain': { leaf: { dnsNames: ['*'] }, trust: byCa, untrusted: /not for localhost/ },
  'an address that is not in the certificate': { host: '127.0.0.1', leaf: noAddress, trust: byCa, untrusted: /not for 127\.0\.0\.1/ },
  'an address that is not in the certificate, pinned': {
    host: '127.0.0.1',
    leaf: noAddress,
    trust: byPin,
    untrusted: /not for 127\.0\.0\.1/,
  },
  'an address written as a name': {
    host: '127.0.0.1',
    leaf: { dnsNames: ['127.0.0.1'], ...noAddress },
    trust: byCa,
    untrusted: /not for 127\.0\.0\.1/,
  },
  'an end that has passed': {
    leaf: { until: new Date(Date.now() - DAY_MS), from: new Date(Date.now() - 2 * DAY_MS) },
    trust: byCa,
    untrusted: /expired/,
  },
  'an end that has passed, pinned': {
    leaf: { until: new Date(Date.now() - DAY_MS), from: new Date(Date.now() - 2 * DAY_MS) },
    trust: byPin,
    untrusted: /expired/,
  },
  'a beginning to come': {
    leaf: { from: new Date(Date.now() + DAY_MS), until: new Date(Date.now() + 2 * DAY_MS) },
    trust: byCa,
    untrusted: /not valid yet/,
  },
  'a beginning to come, pinned': {
    leaf: { from: new Date(Date.now() + DAY_MS), until: new Date(Date.now() + 2 * DAY_MS) },
    trust: byPin,
    untrusted: /not valid yet/,
  },
  'the fingerprint of another key': {
    trust: () => byPin(other),
    untrusted: /presented the fingerprint sha256:[0-9a-f]{64}, but sha256:[0-9a-f]{64} was expected/,
  },
  'the pinned CA shown beside a leaf that it did not sign': {
    trust: () => byPin(other),
    chain: ({ leaf }) => leaf.pem + other.ca.pem,
    untrusted: /signed by a CA that is not trusted/,
  },
};

describe('a credential is sent for', () => {
  it.each(Object.entries(TABLE).filter(([, row]) => !row.untrusted))('%s', async (_name, row) => {
    const pair = makeTestPair(row.leaf);
    const server = await serve(pair.leaf, row.chain?.(pair) ?? pair.chainPem, row.listen);
    const { error, warnings } = await sendCredential(`${row.host ?? 'localhost'}:${server.port}`, row.trust(pair));
    expect(error).toBeUndefined();
    await server.quiet();
    expect(server.received().toString()).toBe(CREDENTIAL);
    expect(warnings).toEqual([]);
  });
});

describe('not one byte is sent for', () => {
  it.each(Object.entries(TABLE).filter(([, row]) => row.untrusted))('%s', async (_name, row) => {
    const pair = makeTestPair(row.leaf);
    const server = await serve(pair.leaf, row.chain?.(pair) ?? pair.chainPem, row.listen);
    const { error } = await sendCredential(`${row.host ?? 'localhost'}:${server.port}`, row.trust(pair));
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringMatching(row.untrusted!) });
    await server.quiet();
    expect(server.connections()).toBeGreaterThan(0);
    expect(server.received()).toHaveLength(0);
  });

  it('a leaf that signed itself', async () => {
    const leaf = makeTestCertificate({ name: 'relay', dnsNames: ['localhost'] });
    const server = await serve(leaf, leaf.pem);
    const { error } = await sendCredential(`localhost:${server.port}`, {});
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringContaining('signed by itself') });
    await server.quiet();
    expect(server.received()).toHaveLength(0);
  });

  it('an impostor that bears the name of the CA and shows its certificate', async () => {
    const { ca } = makeTestPair();
    const impostor = makeTestCertificate({ name: ca.name, isAuthority: true });
    const leaf = makeTestCertificate({ name: 'relay', issuer: impostor, dnsNames: ['localhost'] });
    const server = await serve(leaf, leaf.pem + ca.pem);
    const { error } = await sendCredential(`localhost:${server.port}`, byPin({ ca }));
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringContaining('signature') });
    await server.quiet();
    expect(server.received()).toHaveLength(0);
  });

  it('a leaf signed by another leaf of the CA', async () => {
    const { ca, leaf: signer } = makeTestPair();
    const leaf = makeTestCertificate({ name: 'evil', issuer: signer, dnsNames: ['localhost'] });
    const server = await serve(leaf, leaf.pem + signer.pem + ca.pem);
    for (const trust of [byCa({ ca }), byPin({ ca })]) {
      expect((await sendCredential(`localhost:${server.port}`, trust)).error).toMatchObject({ code: 'relay_untrusted' });
    }
    await server.quiet();
    expect(server.received()).toHaveLength(0);
  });

  it('a relay that shows the right chain to the probe and another to the connection', async () => {
    const [right, wrong] = [makeTestPair(), makeTestPair()];
    let handshakes = 0;
    const server = await startRecordingServer({
      cert: right.chainPem,
      key: right.leaf.keyPem,
      SNICallback(_name, done) {
        handshakes += 1;
        const pair = handshakes === 1 ? right : wrong;
        done(null, createContext(pair));
      },
    });
    servers.push(server);
    const { error } = await sendCredential(`localhost:${server.port}`, byPin(right));
    expect(handshakes).toBe(2);
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringContaining('not trusted') });
    await server.quiet();
    expect(server.received()).toHaveLength(0);
  });
});
