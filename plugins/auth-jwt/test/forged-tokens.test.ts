import { generateKeyPairSync } from 'node:crypto';
import type { AuthOutcome } from '@towline/contract';
import { EncryptJWT, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { ask, encode, NOW_S, OLDER_SECRET, openProvider, partsOf, SECRET, sign } from './fixture.ts';

type Members = Record<string, unknown>;
const INVALID = { outcome: 'rejected', code: 'token_invalid' };
const EXPIRED = { outcome: 'rejected', code: 'token_expired' };
const SKIPPED = { outcome: 'skipped' };

let good: { header: Members; payload: Members; token: string; head: string; body: string; signature: string };
let judge: (token: string) => Promise<AuthOutcome>;

beforeAll(async () => {
  const { provider, issue } = await openProvider();
  const { token } = await issue();
  good = { ...partsOf(token), token };
  judge = (text) => ask(provider, text);
});

/** A token like a good one and signed with the right secret, but for these members. */
const withHeader = (more: Members) => sign({ ...good.header, ...more }, good.payload);
const withPayload = (more: Members) => sign(good.header, { ...good.payload, ...more });
const without = (name: string) => sign(good.header, Object.fromEntries(Object.entries(good.payload).filter(([key]) => key !== name)));

describe('a forged token', () => {
  it('is measured against one that is accepted when it is made the same way', async () => {
    expect(await judge(sign(good.header, good.payload))).toMatchObject({ outcome: 'accepted' });
  });

  it.each<[string, () => string, Members]>([
    ['with the algorithm none and no signature', () => `${encode({ ...good.header, alg: 'none' })}.${good.body}.`, INVALID],
    ['with the algorithm nOnE', () => `${encode({ ...good.header, alg: 'nOnE' })}.${good.body}.`, INVALID],
    ['with no signature', () => `${good.head}.${good.body}.`, INVALID],
    ['with a signature of one more character', () => `${good.token}A`, INVALID],
    ['with one bit of the signature turned', () => `${good.head}.${good.body}.${flip(good.signature)}`, INVALID],
    ['signed with another secret', () => sign(good.header, good.payload, { secret: OLDER_SECRET }), INVALID],
    ['signed with the empty secret', () => sign(good.header, good.payload, { secret: '' }), INVALID],
    [
      'with another payload under an old signature',
      () => `${good.head}.${encode({ ...good.payload, admin: true })}.${good.signature}`,
      INVALID,
    ],
    ['with HS512', () => sign({ ...good.header, alg: 'HS512' }, good.payload, { hash: 'sha512' }), INVALID],
    ['that says RS256 and has an HMAC', () => withHeader({ alg: 'RS256' }), INVALID],
    ['without algorithm', () => withHeader({ alg: undefined }), INVALID],
    ['whose algorithm is a list', () => withHeader({ alg: ['HS256'] }), INVALID],
    ['of a key id that is not ours', () => withHeader({ kid: '0123456789abcdef' }), INVALID],
    ['without key id', () => withHeader({ kid: undefined }), INVALID],
    ['whose key id is a path', () => withHeader({ kid: '../../../../dev/null' }), INVALID],
    ['whose key id names a member of objects', () => withHeader({ kid: '__proto__' }), INVALID],
    ['that brings its own key', () => withHeader({ jwk: { kty: 'oct', k: encode(SECRET) } }), INVALID],
    ['that says where its key is', () => withHeader({ jku: 'https://evil.example/keys' }), INVALID],
    ['with an extension that must be understood', () => withHeader({ crit: ['exp'] }), INVALID],
    ['whose payload is not encoded', () => withHeader({ b64: false, crit: ['b64'] }), INVALID],
    ['of another type', () => withHeader({ typ: 'JWT' }), SKIPPED],
    ['without type', () => withHeader({ typ: undefined }), SKIPPED],
    ['of another issuer', () => withPayload({ iss: 'https://id.example.com' }), SKIPPED],
    ['without issuer', () => without('iss'), INVALID],
    ['whose issuer is a list', () => withPayload({ iss: ['towline'] }), INVALID],
    ['for another audience', () => withPayload({ aud: 'other' }), INVALID],
    ['for several audiences', () => withPayload({ aud: ['towline', 'other'] }), INVALID],
    ['without audience', () => without('aud'), INVALID],
    ['that is expired', () => withPayload({ exp: NOW_S - 1 }), EXPIRED],
    ['that expires now', () => withPayload({ exp: NOW_S }), EXPIRED],
    ['without expiry', () => without('exp'), INVALID],
    ['whose expiry is a text', () => withPayload({ exp: '9999999999' }), INVALID],
    [
      'whose expiry is beyond all numbers',
      () => sign(good.header, JSON.stringify(good.payload).replace(/"exp":\d+/, '"exp":1e999')),
      INVALID,
    ],
    ['from the future', () => withPayload({ iat: NOW_S + 3_600 }), INVALID],
    ['not valid yet', () => withPayload({ nbf: NOW_S + 3_600 }), INVALID],
    ['without subject', () => without('sub'), INVALID],
    ['without id', () => without('jti'), INVALID],
    ['with a member that nobody knows', () => withPayload({ role: 'admin' }), INVALID],
    ['with an e-mail address of another form', () => withPayload({ email: 'Alice@Example.com' }), INVALID],
    ['with a scope that is none', () => withPayload({ scopes: [{ scope: 'everything', role: 'admin' }] }), INVALID],
    ['with a role that is none', () => withPayload({ scopes: [{ scope: 'org:acme', role: 'owner' }] }), INVALID],
    ['whose admin is no boolean', () => withPayload({ admin: 'yes' }), INVALID],
    ['with a member twice, the second one forged', () => duplicated(), INVALID],
    ['cut in its payload', () => `${good.head}.${good.body.slice(0, 40)}.${good.signature}`, INVALID],
    ['cut in its signature', () => good.token.slice(0, -10), INVALID],
    ['cut before its signature', () => `${good.head}.${good.body}`, SKIPPED],
    ['with five parts, as an encrypted one', () => `${good.token}.a.b`, SKIPPED],
    ['whose payload is no JSON', () => sign(good.header, 'hello'), INVALID],
    ['whose payload is null', () => sign(good.header, null), INVALID],
    ['whose payload is a list', () => sign(good.header, [good.payload]), INVALID],
    ['with a huge payload', () => withPayload({ label: 'x'.repeat(1_000_000) }), INVALID],
    ['with a huge header', () => withHeader({ x: 'x'.repeat(1_000_000) }), SKIPPED],
    ['of a million dots', () => '.'.repeat(1_000_000), SKIPPED],
    ['that is empty', () => '', SKIPPED],
    ['that is an API key', () => `twl_u_${good.token}`, SKIPPED],
  ])('%s is not accepted', async (_, forge, expected) => {
    expect(await judge(forge())).toMatchObject(expected);
  });

  it('signed by a key pair whose public key it brings is rejected', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const header = { ...good.header, alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) };
    expect(await judge(await new SignJWT(good.payload).setProtectedHeader(header).sign(privateKey))).toMatchObject(INVALID);
  });

  it('that is encrypted is left to others', async () => {
    const header = { ...good.header, alg: 'dir', enc: 'A256GCM' };
    const token = await new EncryptJWT(good.payload).setProtectedHeader(header).encrypt(Buffer.alloc(32, 7));
    expect(await judge(token)).toEqual(SKIPPED);
  });

  it('is answered without what it holds', async () => {
    const answer = await judge(withPayload({ sub: 'planted-subject', aud: 'planted-audience' }));
    expect(JSON.stringify(answer)).not.toContain('planted');
  });
});

/** The payload as text with `admin` appended by hand, signed over the text without it. */
function duplicated(): string {
  const text = JSON.stringify(good.payload);
  return `${good.head}.${encode(`${text.slice(0, -1)},"sub":"local|root"}`)}.${good.signature}`;
}

function flip(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url');
  bytes[0]! ^= 1;
  return bytes.toString('base64url');
}
