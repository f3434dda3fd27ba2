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
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
  readonly from?: Date;
  readonly until?: Date;
  /** A fresh one when left out. */
  readonly key?: KeyObject;
}

const HOUR_MS = 3_600_000;

/** Makes an X.509 v3 certificate with an ECDSA key, byte by byte, so that none is too wrong to be made. */
export function makeTestCertificate(options: TestCertificateOptions): TestCertificate {
  const key = options.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const { issuer } = options;
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    ECDSA_SHA256,
    distinguishedName(issuer?.name ?? options.name),
    sequence(time(options.from ?? new Date(Date.now() - HOUR_MS)), time(options.until ?? new Date(Date.now() + 24 * HOUR_MS))),
    distinguishedName(options.name),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...extensions(options))),
  );
  const signature = sign('sha256', body, issuer?.key ?? key);
  const der = sequence(body, ECDSA_SHA256, bitString(signature));
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
  return { pem, key, keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(), name: options.name };
}

/** A CA with a leaf for localhost and the loopback addresses. */
export function makeTestPair(leaf: Partial<TestCertificateOptions> = {}): { ca: TestCertificate; leaf: TestCertificate; chainPem: string } {
  const ca = makeTestCertificate({ name: `test CA ${randomBytes(4).toString('hex')}`, isAuthority: true });
  const made = makeTestCertificate({ name: 'relay', issuer: ca, dnsNames: ['localhost'], addresses: ['127.0.0.1', '::1'], ...leaf });
  return { ca, leaf: made, chainPem: made.pem + ca.pem };
}

function extensions({ isAuthority = false, dnsNames = [], addresses = [] }: TestCertificateOptions): Buffer[] {
  const names = [
    ...dnsNames.map((name) => tagged(0x82, Buffer.from(name))),
    ...addresses.map((address) => tagged(0x87, addressBytes(address))),
  ];
  const basic = extension('551d13', sequence(...(isAuthority ? [Buffer.from([1, 1, 0xff])] : [])));
  return names.length === 0 ? [basic] : [basic, extension('551d11', sequence(...names))];
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const all = [...groups(head), ...Array<number>(8 - groups(head).length - groups(tail).length).fill(0), ...groups(tail)];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

const ECDSA_SHA256 = sequence(tagged(0x06, Buffer.from('2a8648ce3d040302', 'hex')));

function distinguishedName(name: string): Buffer {
  const attribute = sequence(tagged(0x06, Buffer.from('550403', 'hex')), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, attribute));
}

function extension(oid: string, value: Buffer): Buffer {
  return sequence(tagged(0x06, Buffer.from(oid, 'hex')), tagged(0x04, value));
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
