import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeTestCertificate, makeTestPair, type TestCertificate } from '../../../core/link/test/trust-certificates.ts';
import { readCertificate } from '../src/dial/chain-certificate.ts';
import { doubtChain } from '../src/dial/chain-path.ts';
import { readDer } from '../src/dial/der.ts';

const derOf = ({ pem }: TestCertificate) => new X509Certificate(pem).raw;
const anchor = ({ pem }: TestCertificate) => new X509Certificate(pem);
const made = makeTestPair();
const other = makeTestPair();

describe('DER', () => {
  it('is read value by value, with lengths of one byte and of several', () => {
    const long = Buffer.alloc(300, 7);
    const bytes = Buffer.concat([Buffer.from('020105', 'hex'), Buffer.from('0482012c', 'hex'), long, Buffer.from('0500', 'hex')]);
    expect(readDer(bytes)).toEqual([
      { tag: 2, content: Buffer.from([5]) },
      { tag: 4, content: long },
      { tag: 5, content: Buffer.alloc(0) },
    ]);
  });

  it.each(['02', '0205', '020501', '0480000000', '048200', '04ff', '0488ffffffffffffffff'])(
    'that is cut short or none is an error: %s',
    (hex) => {
      expect(() => readDer(Buffer.from(hex, 'hex'))).toThrow(RangeError);
    },
  );

  it('of any bytes is values that fill them, or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          const held = readDer(Buffer.from(bytes)).reduce((sum, { content }) => sum + content.length, 0);
          return held <= bytes.length;
        } catch (error) {
          return error instanceof RangeError;
        }
      }),
    );
  });
});

describe('a certificate', () => {
  it('tells what Node does not', () => {
    const root = makeTestCertificate({ name: 'root', isAuthority: true, pathLength: 2, keyUsage: '000001', hash: 'sha384' });
    const { signedWith, pathLength, critical } = readCertificate(derOf(root));
    expect({ signedWith, pathLength, critical }).toEqual({ signedWith: '2a8648ce3d040303', pathLength: 2, critical: ['551d0f'] });
    expect(readCertificate(derOf(made.leaf)).pathLength).toBeNull();
  });
});

describe('a chain', () => {
  it('that leads to a root is not doubted, also with others beside', () => {
    const [leaf, root, junk] = [derOf(made.leaf), derOf(made.ca), derOf(other.ca)];
    for (const chain of [[leaf], [leaf, root], [leaf, junk, root]])
      expect(doubtChain(chain, [anchor(other.ca), anchor(made.ca)])).toBeUndefined();
  });

  it('that leads nowhere is doubted', () => {
    const unknown = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
    expect(doubtChain([derOf(made.leaf), derOf(made.ca)], [anchor(other.ca)])).toBe(unknown);
    expect(doubtChain([derOf(made.leaf)], [])).toBe(unknown);
    expect(doubtChain([], [anchor(made.ca)])).toBe(unknown);
  });

  it('that goes round in a circle is doubted', () => {
    const [key, name] = [made.ca.key, 'round'];
    const first = makeTestCertificate({ name, isAuthority: true, key });
    const second = makeTestCertificate({ name, isAuthority: true, key, issuer: first });
    const leaf = makeTestCertificate({ name: 'relay', issuer: second });
    expect(doubtChain([leaf, first, second].map(derOf), [anchor(other.ca)])).toBe('UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
  });

  it('with any byte changed is doubted or not, and nothing is thrown', () => {
    const leaf = derOf(made.leaf);
    fc.assert(
      fc.property(fc.nat({ max: leaf.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Buffer.from(leaf);
        damaged[at]! ^= change;
        expect(doubtChain([damaged], [anchor(made.ca)])).toEqual(expect.any(String));
      }),
      { numRuns: 300 },
    );
  });
});
