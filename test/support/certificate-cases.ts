import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrustSettings } from '@towline/contract';
import { makeTestCertificate, type TestCertificate, type TestCertificateOptions } from '../../core/link/test/trust-certificates.ts';
import type { Shown } from './certificate-door.ts';

/** What a relay shows and what is believed about it. */
export interface Setting {
  readonly shown: Shown;
  readonly trust: TrustSettings;
  /** Host in the URL; `localhost` by default. */
  readonly host?: string;
  /** Address of the doors; 127.0.0.1 by default. */
  readonly listen?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** One row of the table. */
export interface CertificateCase {
  /** `dir` is an empty folder. */
  readonly make: (dir: string) => Setting;
  /** Words of the verdict; left out where the certificate is to be believed. */
  readonly untrusted?: RegExp;
  /** Why QUIC cannot accept what TLS does, so that it is `unavailable`. */
  readonly notForQuic?: string;
}

const DAY_MS = 86_400_000;
const PAST = { from: new Date(Date.now() - 2 * DAY_MS), until: new Date(Date.now() - DAY_MS) };
const FUTURE = { from: new Date(Date.now() + DAY_MS), until: new Date(Date.now() + 2 * DAY_MS) };
const NAMES = { dnsNames: ['localhost'], addresses: ['127.0.0.1', '::1'] };
const NO_NAMES = { dnsNames: [], addresses: [] };
const EXPIRED = /has expired/;
const UNKNOWN_CA = /is signed by a CA that is not trusted here/;
const NOT_FOR_SERVERS = /is not made for servers/;
const WEAK_SIGNATURE = /bears a signature that can be forged/;
const WEAK_KEY = /has a key that is too short/;
const TOO_LONG = /has a chain longer than its CA allows/;
const NOT_UNDERSTOOD = /demands something that is not understood/;
const PARTIAL = 'the BoringSSL of the binding takes nothing but a root for the end of a chain';
/** Numbers of extended key usages, and of an extension that nobody knows. */
const CLIENT_AUTH = '2b06010505070302';
const ANY_USE = '551d2500';
const UNKNOWN_CRITICAL = { oid: '2a030405', value: '0500', critical: true };
/** Name constraints: anything but localhost; example.com alone. */
const WITHOUT_LOCALHOST = { oid: '551d1e', value: '300fa10d300b82096c6f63616c686f7374', critical: true };
const ONLY_EXAMPLE = { oid: '551d1e', value: '3011a00f300d820b6578616d706c652e636f6d', critical: true };

type Options = Partial<TestCertificateOptions>;
const makeRoot = (options: Options = {}) => makeTestCertificate({ name: 'root', isAuthority: true, ...options });
const makeBetween = (issuer: TestCertificate, options: Options = {}) =>
  makeTestCertificate({ name: `below ${issuer.name}`, issuer, isAuthority: true, ...options });
const makeLeaf = (issuer: TestCertificate, options: Options = {}) => makeTestCertificate({ name: 'relay', issuer, ...NAMES, ...options });
const makeAlone = (options: Options = {}) => makeTestCertificate({ name: 'relay', ...NAMES, ...options });
const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey;
const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;

function show(leaf: TestCertificate, ...others: readonly TestCertificate[]): Shown {
  return { certPem: [leaf, ...others].map(({ pem }) => pem).join(''), keyPem: leaf.keyPem };
}

/** Fingerprint by another way than the one under test. */
function pin({ key }: TestCertificate): TrustSettings {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { fingerprint: `sha256:${createHash('sha256').update(der).digest('hex')}` };
}

const byCa = ({ pem }: TestCertificate): TrustSettings => ({ ca: pem });

/** Root and leaf, both sent. */
function pair(
  trust: (root: TestCertificate, leaf: TestCertificate) => TrustSettings,
  leafOptions: Options = {},
  rootOptions: Options = {},
) {
  const root = makeRoot(rootOptions);
  const leaf = makeLeaf(root, leafOptions);
  return { shown: show(leaf, root), trust: trust(root, leaf) };
}

/** A leaf below an intermediate, which is sent; the root is given. */
function three(betweenOptions: Options = {}, rootOptions: Options = {}): Setting {
  const root = makeRoot(rootOptions);
  const between = makeBetween(root, betweenOptions);
  return { shown: show(makeLeaf(between), between), trust: byCa(root) };
}

/** The same with all three certificates in hand. */
function family() {
  const root = makeRoot();
  const between = makeBetween(root);
  return { root, between, leaf: makeLeaf(between) };
}

function alone(trust: (leaf: TestCertificate) => TrustSettings, options: Options = {}): Setting {
  const leaf = makeAlone(options);
  return { shown: show(leaf), trust: trust(leaf) };
}

function bundleFile(dir: string, pem: string): NodeJS.ProcessEnv {
  const file = join(dir, 'roots.pem');
  writeFileSync(file, pem);
  return { SSL_CERT_FILE: file };
}

const ROOTS: Record<string, CertificateCase> = {
  'a root in SSL_CERT_FILE': {
    make(dir) {
      const { root, leaf, between } = family();
      return { shown: show(leaf, between), trust: {}, environment: bundleFile(dir, root.pem) };
    },
  },
  'another root in SSL_CERT_FILE': {
    make: (dir) => ({ ...pair(() => ({})), environment: bundleFile(dir, makeRoot({ name: 'other' }).pem) }),
    untrusted: UNKNOWN_CA,
  },
  'an intermediate alone in SSL_CERT_FILE': {
    make(dir) {
      const { between, leaf } = family();
      return { shown: show(leaf), trust: {}, environment: bundleFile(dir, between.pem) };
    },
    untrusted: UNKNOWN_CA,
  },
  'no root at all': { make: () => pair(() => ({})), untrusted: UNKNOWN_CA },
  'a private CA that is given': { make: () => pair(byCa) },
  'a private CA among several': { make: () => pair((root) => ({ ca: `${makeRoot({ name: 'other' }).pem}comment\n${root.pem}` })) },
  'a private CA with an intermediate': { make: () => three() },
  'a private CA with an intermediate that is not sent': {
    make() {
      const { root, leaf } = family();
      return { shown: show(leaf), trust: byCa(root) };
    },
    untrusted: UNKNOWN_CA,
  },
  'a chain out of order': {
    make() {
      const { root, between, leaf } = family();
      return { shown: show(leaf, root, between), trust: byCa(root) };
    },
  },
  'an intermediate that is given': {
    make() {
      const { between, leaf } = family();
      return { shown: show(leaf, between), trust: byCa(between) };
    },
    notForQuic: PARTIAL,
  },
  'a leaf that is given': { make: () => pair((_root, leaf) => byCa(leaf)), notForQuic: PARTIAL },
  'another CA': { make: () => pair(() => byCa(makeRoot({ name: 'other' }))), untrusted: UNKNOWN_CA },
  'another CA of the same name': { make: () => pair(() => byCa(makeRoot())), untrusted: /bears a signature that is not by its CA/ },
  'a leaf that signed itself': { make: () => alone(() => ({})), untrusted: /is signed by itself and not trusted here/ },
  'a leaf that signed itself, given': { make: () => alone(byCa) },
  'a leaf that signed itself, given, with the use of a client': {
    make: () => alone(byCa, { extendedKeyUsage: [CLIENT_AUTH] }),
    untrusted: NOT_FOR_SERVERS,
  },
};

const PINS: Record<string, CertificateCase> = {
  'the root pinned': { make: () => pair(pin) },
  'the root pinned, with an intermediate': {
    make() {
      const { root, between, leaf } = family();
      return { shown: show(leaf, between, root), trust: pin(root) };
    },
  },
  'the root pinned, which is not sent': {
    make() {
      const { root, between, leaf } = family();
      return { shown: show(leaf, between), trust: pin(root) };
    },
    untrusted: /presented the fingerprint sha256:[0-9a-f]{64}, but sha256:[0-9a-f]{64} was expected/,
  },
  'an intermediate pinned': {
    make() {
      const { root, between, leaf } = family();
      return { shown: show(leaf, between, root), trust: pin(between) };
    },
    notForQuic: PARTIAL,
  },
  'the leaf pinned': { make: () => pair((_root, leaf) => pin(leaf)), notForQuic: PARTIAL },
  'a leaf that signed itself, pinned': { make: () => alone(pin) },
  'another key pinned': { make: () => pair(() => pin(makeRoot())), untrusted: /presented the fingerprint/ },
  'another key pinned, and the right CA given': {
    make: () => pair((root) => ({ ...byCa(root), ...pin(makeRoot()) })),
    untrusted: /presented the fingerprint/,
  },
  'the pinned root shown beside a leaf that it did not sign': {
    make() {
      const root = makeRoot({ name: 'other' });
      return { shown: show(makeLeaf(makeRoot()), root), trust: pin(root) };
    },
    untrusted: UNKNOWN_CA,
  },
  'the pinned root has expired': { make: () => pair(pin, {}, PAST), untrusted: EXPIRED },
  'the root pinned, the leaf has expired': { make: () => pair(pin, PAST), untrusted: EXPIRED },
  'the pinned leaf has expired': { make: () => alone(pin, PAST), untrusted: EXPIRED },
  'the root pinned, the leaf is for another name': {
    make: () => pair(pin, { dnsNames: ['other.example.com'] }),
    untrusted: /is not for localhost: it is for .*other\.example\.com/,
  },
  'the leaf pinned, which is for another name': { make: () => alone(pin, { dnsNames: ['other'] }), untrusted: /is not for localhost/ },
};

const DATES: Record<string, CertificateCase> = {
  'an expired leaf': { make: () => pair(byCa, PAST), untrusted: EXPIRED },
  'an expired intermediate': { make: () => three(PAST), untrusted: EXPIRED },
  'an expired CA': { make: () => pair(byCa, {}, PAST), untrusted: EXPIRED },
  'a leaf that is not valid yet': { make: () => pair(byCa, FUTURE), untrusted: /is not valid yet/ },
  'a CA that is not valid yet': { make: () => pair(byCa, {}, FUTURE), untrusted: /is not valid yet/ },
};

const HOSTS: Record<string, CertificateCase> = {
  'another name': { make: () => pair(byCa, { dnsNames: ['other.example.com'] }), untrusted: /is not for localhost: it is for/ },
  'the name in capitals': { make: () => pair(byCa, { dnsNames: ['LOCALHOST'] }) },
  'a wildcard over everything': { make: () => pair(byCa, { dnsNames: ['*'] }), untrusted: /is not for localhost/ },
  'no name at all': { make: () => pair(byCa, NO_NAMES), untrusted: /it names no host at all/ },
  'the name in the subject alone': { make: () => pair(byCa, { name: 'localhost', ...NO_NAMES }), untrusted: /it names no host at all/ },
  'a root dot in the URL': { make: () => ({ ...pair(byCa), host: 'localhost.' }) },
  'a root dot in the URL, and another name': {
    make: () => ({ ...pair(byCa, { dnsNames: ['other'] }), host: 'localhost.' }),
    untrusted: /is not for localhost:/,
  },
  'an address': { make: () => ({ ...pair(byCa), host: '127.0.0.1' }) },
  'an address, the root pinned': { make: () => ({ ...pair(pin), host: '127.0.0.1' }) },
  'an address that is not in the certificate': {
    make: () => ({ ...pair(byCa, { addresses: ['127.0.0.2'] }), host: '127.0.0.1' }),
    untrusted: /is not for 127\.0\.0\.1: it is for DNS:localhost/,
  },
  'an address that stands there as a name': {
    make: () => ({ ...pair(byCa, { dnsNames: ['127.0.0.1'], addresses: [] }), host: '127.0.0.1' }),
    untrusted: /is not for 127\.0\.0\.1/,
  },
  'an address that stands in the subject': {
    make: () => ({ ...pair(byCa, { name: '127.0.0.1', ...NO_NAMES }), host: '127.0.0.1' }),
    untrusted: /it names no host at all/,
  },
  'an IPv6 address': { make: () => ({ ...pair(byCa), host: '[::1]', listen: '::1' }) },
  'an IPv6 address that is not in the certificate': {
    make: () => ({ ...pair(byCa, { addresses: ['127.0.0.1'] }), host: '[::1]', listen: '::1' }),
    untrusted: /is not for ::1/,
  },
};

const SHAPES: Record<string, CertificateCase> = {
  'RSA keys of 2048 bits': { make: () => pair(byCa, { key: rsa(2_048) }, { key: rsa(2_048) }) },
  'an RSA key of 768 bits': { make: () => pair(byCa, { key: rsa(768) }), untrusted: WEAK_KEY },
  'a CA with an RSA key of 768 bits': { make: () => pair(byCa, {}, { key: rsa(768) }), untrusted: WEAK_KEY },
  'keys on P-384': { make: () => pair(byCa, { key: ec('P-384'), hash: 'sha384' }, { key: ec('P-384'), hash: 'sha384' }) },
  'keys on P-521': { make: () => pair(byCa, { key: ec('P-521') }, { key: ec('P-521') }) },
  'Ed25519 keys': {
    make: () => pair(byCa, { key: generateKeyPairSync('ed25519').privateKey }, { key: generateKeyPairSync('ed25519').privateKey }),
  },
  'a CA with a key on secp256k1': {
    make: () => pair(byCa, {}, { key: ec('secp256k1') }),
    notForQuic: 'BoringSSL does not know that curve',
  },
  'a SHA-1 signature': { make: () => pair(byCa, { hash: 'sha1' }), untrusted: WEAK_SIGNATURE },
  'a SHA-1 signature by an RSA key': { make: () => pair(byCa, { hash: 'sha1' }, { key: rsa(2_048) }), untrusted: WEAK_SIGNATURE },
  'a SHA-1 signature on the intermediate, sent last': { make: () => three({ hash: 'sha1' }), untrusted: WEAK_SIGNATURE },
  'a SHA-1 signature of a root by itself': { make: () => pair(byCa, {}, { hash: 'sha1' }) },
  'the use of a client': { make: () => pair(byCa, { extendedKeyUsage: [CLIENT_AUTH] }), untrusted: NOT_FOR_SERVERS },
  'any use': { make: () => pair(byCa, { extendedKeyUsage: [ANY_USE] }), untrusted: NOT_FOR_SERVERS },
  'an intermediate with the use of a client': { make: () => three({ extendedKeyUsage: [CLIENT_AUTH] }), untrusted: NOT_FOR_SERVERS },
  'a CA with the use of a client': { make: () => pair(byCa, {}, { extendedKeyUsage: [CLIENT_AUTH] }), untrusted: NOT_FOR_SERVERS },
  'an intermediate that is no CA': { make: () => three({ isAuthority: false }), untrusted: /is not made for servers|is not a CA/ },
  'a given CA that is none': { make: () => pair(byCa, {}, { isAuthority: false }), untrusted: /is not made for servers|is not a CA/ },
  'a CA that may not sign certificates': { make: () => pair(byCa, {}, { keyUsage: '1' }), untrusted: /certificate signing/ },
  'a path longer than the root allows': { make: () => three({}, { pathLength: 0 }), untrusted: TOO_LONG },
  'a path longer than an intermediate allows': {
    make() {
      const root = makeRoot();
      const [upper, lower] = [makeBetween(root, { pathLength: 0 })].flatMap((one) => [one, makeBetween(one)]) as [
        TestCertificate,
        TestCertificate,
      ];
      return { shown: show(makeLeaf(lower), lower, upper), trust: byCa(root) };
    },
    untrusted: TOO_LONG,
  },
  'a path as long as the root allows': { make: () => three({}, { pathLength: 1 }) },
  'a name that the CA may not sign for': { make: () => pair(byCa, {}, { extensions: [WITHOUT_LOCALHOST] }), untrusted: /may not sign for/ },
  'a name that the intermediate may not sign for': { make: () => three({ extensions: [ONLY_EXAMPLE] }), untrusted: /may not sign for/ },
  'a demand that nobody understands': { make: () => pair(byCa, { extensions: [UNKNOWN_CRITICAL] }), untrusted: NOT_UNDERSTOOD },
  'a demand in the CA that nobody understands': {
    make: () => pair(byCa, {}, { extensions: [UNKNOWN_CRITICAL] }),
    untrusted: NOT_UNDERSTOOD,
  },
  'a forged signature': { make: () => pair(byCa, { forged: true }), untrusted: /bears a signature that is not by its CA/ },
  'a forged signature on the intermediate': { make: () => three({ forged: true }), untrusted: /bears a signature that is not by its CA/ },
  'names that are damaged': {
    make: () => pair(byCa, { ...NO_NAMES, extensions: [{ oid: '551d11', value: '3005820a6c6f' }] }),
    untrusted: UNKNOWN_CA,
  },
  'uses that are damaged': { make: () => pair(byCa, { extensions: [{ oid: '551d25', value: 'ffff' }] }), untrusted: UNKNOWN_CA },
};

/** The table. */
export const CERTIFICATE_CASES: Readonly<Record<string, CertificateCase>> = { ...ROOTS, ...PINS, ...DATES, ...HOSTS, ...SHAPES };

/** A relay that nobody could believe, for where verification is switched off. */
export function makeUnbelievable(): Setting {
  return { ...alone(() => ({ trustInvalid: true }), { ...PAST, dnsNames: ['other'], addresses: [] }) };
}

/** A relay with its root given, and what somebody else would show in its place. */
export function makeRivals(): {
  readonly honest: Shown;
  readonly impostor: Shown;
  readonly byCa: TrustSettings;
  readonly byPin: TrustSettings;
} {
  const root = makeRoot();
  const other = makeRoot({ name: 'other' });
  return { honest: show(makeLeaf(root), root), impostor: show(makeLeaf(other), other), byCa: byCa(root), byPin: pin(root) };
}

/** A relay with a name in DNS, and whether one certificate is for it. */
export interface NameCase {
  readonly host: string;
  /** The name in the certificate. */
  readonly name: string;
  readonly fits: boolean;
}

/** Names with more than one label, which are known to nobody outside of the tests (RFC 6761 section 6.2). */
export const NAME_CASES: Readonly<Record<string, NameCase>> = {
  'the name itself': { host: 'relay.towline.test', name: 'relay.towline.test', fits: true },
  'the name with a root dot': { host: 'relay.towline.test.', name: 'relay.towline.test', fits: true },
  'a name beyond ASCII': { host: 'bücher.towline.test', name: 'xn--bcher-kva.towline.test', fits: true },
  'a name with an underscore': { host: 'my_relay.towline.test', name: 'my_relay.towline.test', fits: true },
  'a wildcard': { host: 'relay.towline.test', name: '*.towline.test', fits: true },
  'a wildcard for another domain': { host: 'relay.towline.test', name: '*.other.test', fits: false },
  'a wildcard for two labels': { host: 'one.relay.towline.test', name: '*.towline.test', fits: false },
  'a wildcard for no label': { host: 'towline.test', name: '*.towline.test', fits: false },
  'a wildcard for a part of a label': { host: 'relay.towline.test', name: 're*.towline.test', fits: false },
  'a wildcard that is not in front': { host: 'relay.towline.test', name: 'relay.*.test', fits: false },
};

/** Root and leaf for a name in DNS, and the settings that believe the root. */
export function makeNamed(name: string): Setting {
  return pair(byCa, { dnsNames: [name], addresses: [] });
}
