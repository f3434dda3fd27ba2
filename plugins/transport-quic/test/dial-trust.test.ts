import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';
import { quicTrust } from '../src/dial/quic-trust.ts';

const [first, second] = [makeTestPair().ca, makeTestPair().ca];
/** A root that the PEM of a system's bundle may hold, and that nothing can read. */
const damaged = first.pem.replace(/\n.{64}\n/, '\nAAAA\n');
const fingerprints = (roots: readonly X509Certificate[] | null) => roots?.map(({ raw }) => createHash('sha256').update(raw).digest('hex'));
const expected = (...roots: readonly { readonly pem: string }[]) => fingerprints(roots.map(({ pem }) => new X509Certificate(pem)));

describe('what QUIC trusts', () => {
  it('are the roots, and the config for them is kept for the next dial', () => {
    const trust = quicTrust({ verify: true, roots: [first.pem, second.pem] });
    expect(fingerprints(trust.anchors)).toEqual(expected(first, second));
    expect(quicTrust({ verify: true, roots: [first.pem, second.pem] })).toBe(trust);
    expect(quicTrust({ verify: true, roots: [first.pem] })).not.toBe(trust);
  });

  it('are the others where one cannot be read', () => {
    const { anchors } = quicTrust({ verify: true, roots: [first.pem, damaged, second.pem] });
    expect(fingerprints(anchors)).toEqual(expected(first, second));
  });

  it('is nothing without roots, and everything only where verification is off', () => {
    expect(quicTrust({ verify: true, roots: [] }).anchors).toEqual([]);
    expect(quicTrust({ verify: false, roots: [] }).anchors).toBeNull();
  });
});
