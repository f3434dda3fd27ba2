import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A certificate of any shape, good or bad, with its key. */
export interface TestCertificate {
  readonly pem: string;
  readonly keyPem: string;
  readonly key: KeyObject;
  readonly name: string;
}

export interface TestCertificateOptions {
  /** Common name of the subject. */
  readonly name: string;
  /** Signs itself when left out. */
  readonly issuer?: TestCertificate;
  readonly isAuthority?: boolean;
  /** CAs that may stand below this one. No limit when left out. */
  readonly pathLength?: number;
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  /** Bits of the key usage, the first in front: digitalSignature, …, keyCertSign is the sixth. None is said when left out. */
  readonly keyUsage?: string;
  /** Numbers of extended key usages in DER, hex. None is said when left out. */
  readonly extendedKeyUsage?: readonly string[];
  /** Further extensions. */
  readonly extensions?: readonly TestExtension[];
  readonly from?: Date;
  readonly until?: Date;
  /** A fresh one on P-256 when left out. */
  readonly key?: KeyObject;
  /** Hash that is signed, of the kinds that {@link signatureAlgorithm} knows; of no meaning for Ed25519. */
  readonly hash?: 'sha1' | 'sha256' | 'sha384';
  /** Turns one bit of the signature around. */
  readonly forged?: boolean;
}

/** An extension by its number and value in DER, hex. */
export interface TestExtension {
  readonly oid: string;
  readonly value: string;
  readonly critical?: boolean;
}

const HOUR_MS = 3_600_000;

/** Makes an X.509 v3 certificate, byte by byte, so that none is too wrong to be made. */
export function makeTestCertificate(options: TestCertificateOptions): TestCertificate {
  const key = options.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const { issuer, hash = 'sha256' } = options;
  const signer = issuer?.key ?? key;
  const algorithm = signatureAlgorithm(signer, hash);
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    algorithm,
    distinguishedName(issuer?.name ?? options.name),
    sequence(time(options.from ?? new Date(Date.now() - HOUR_MS)), time(options.until ?? new Date(Date.now() + 24 * HOUR_MS))),
    distinguishedName(options.name),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(options))),
  );
  const signature = sign(signer.asymmetricKeyType === 'ed25519' ? null : hash, body, signer);
  if (options.forged) signature[signature.length - 1]! ^= 1;
  const der = sequence(body, algorithm, bitString(signature));
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
  return { pem, key, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), name: options.name };
}

/** A CA with a leaf for localhost and the loopback addresses. */
export function makeTestPair(leaf: Partial<TestCertificateOptions> = {}): { ca: TestCertificate; leaf: TestCertificate; chainPem: string } {
  const ca = makeTestCertificate({ name: `test CA ${randomBytes(4).toString('hex')}`, isAuthority: true });
  const made = makeTestCertificate({ name: 'relay', issuer: ca, dnsNames: ['localhost'], addresses: ['127.0.0.1', '::1'], ...leaf });
  return { ca, leaf: made, chainPem: made.pem + ca.pem };
}

function extensions(options: TestCertificateOptions): Buffer[] {
  const { dnsNames = [], addresses = [], keyUsage, extendedKeyUsage, extensions: others = [] } = options;
  const names = [
    ...dnsNames.map((name) => tagged(0x82, Buffer.from(name))),
    ...addresses.map((address) => tagged(0x87, addressBytes(address))),
  ];
  return [
    extension('551d13', basicConstraints(options)),
    ...(names.length === 0 ? [] : [extension('551d11', sequence(...names))]),
    ...(keyUsage === undefined ? [] : [extension('551d0f', usageBits(keyUsage), true)]),
    ...(extendedKeyUsage === undefined ? [] : [extension('551d25', sequence(...extendedKeyUsage.map(objectId)))]),
    ...others.map(({ oid, value, critical = false }) => extension(oid, Buffer.from(value, 'hex'), critical)),
  ];
}

function basicConstraints({ isAuthority = false, pathLength }: TestCertificateOptions): Buffer {
  const length = pathLength === undefined ? [] : [integer(Buffer.from([pathLength]))];
  return sequence(...(isAuthority ? [TRUE, ...length] : []));
}

/** A string of bits as DER has it: without zeros behind the last one that is set. */
function usageBits(text: string): Buffer {
  const bits = text.replace(/0+$/, '');
  const unused = (8 - (bits.length % 8)) % 8;
  const bytes = bits.padEnd(bits.length + unused, '0').match(/.{8}/g) ?? [];
  return tagged(0x03, Buffer.from([unused, ...bytes.map((byte) => Number.parseInt(byte, 2))]));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const all = [...groups(head), ...Array<number>(8 - groups(head).length - groups(tail).length).fill(0), ...groups(tail)];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

const TRUE = Buffer.from([1, 1, 0xff]);
/** Numbers of signature algorithms, in DER. */
const ECDSA = { sha1: '2a8648ce3d0401', sha256: '2a8648ce3d040302', sha384: '2a8648ce3d040303' };
const RSA = { sha1: '2a864886f70d010105', sha256: '2a864886f70d01010b', sha384: '2a864886f70d01010c' };
const ED25519 = '2b6570';

function signatureAlgorithm({ asymmetricKeyType: type }: KeyObject, hash: keyof typeof RSA): Buffer {
  if (type === 'ed25519') return sequence(objectId(ED25519));
  return type === 'rsa' ? sequence(objectId(RSA[hash]), NULL) : sequence(objectId(ECDSA[hash]));
}

const NULL = Buffer.from([5, 0]);

function distinguishedName(name: string): Buffer {
  const attribute = sequence(objectId('550403'), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, attribute));
}

function extension(oid: string, value: Buffer, critical = false): Buffer {
  return sequence(objectId(oid), ...(critical ? [TRUE] : []), tagged(0x04, value));
}

function objectId(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, 'hex'));
}

function time(date: Date): Buffer {
  return tagged(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, '')}Z`));
}

function bitString(value: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), value]));
}

function integer(value: Buffer): Buffer {
  return tagged(0x02, value);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function tagged(tag: number, value: Buffer): Buffer {
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  // DER wants the shortest form of a length, and BoringSSL insists on it.
  if (value.length < 0x100) return Buffer.concat([Buffer.from([tag, 0x81, value.length]), value]);
  return Buffer.concat([Buffer.from([tag, 0x82, value.length >> 8, value.length & 0xff]), value]);
}
