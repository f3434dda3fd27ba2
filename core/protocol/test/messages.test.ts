import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clientOpen,
  clientToRelay,
  createDeviceKeyPair,
  createId,
  type DeviceId,
  decodeJson,
  deviceOpen,
  deviceToRelay,
  ERRORS,
  encodeJson,
  fingerprintOf,
  frameMessage,
  fromPublicError,
  MAX_OPEN_MESSAGE,
  MessageSplitter,
  openAnswer,
  parsePrivateKey,
  parsePublicKey,
  parseScope,
  printable,
  proofText,
  relayOpen,
  relayToClient,
  relayToDevice,
  signText,
  TowlineError,
  verifyText,
} from '../src/index.ts';

const codecs = { clientOpen, deviceOpen, relayOpen, openAnswer, relayToDevice, deviceToRelay, relayToClient, clientToRelay };

describe('every decoder of messages', () => {
  it.each(Object.entries(codecs))('%s answers arbitrary bytes and arbitrary JSON with protocol_error', (_name, codec) => {
    const judge = (bytes: Uint8Array) => {
      try {
        codec.decode(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: 'protocol_error' });
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), judge), { numRuns: 200 });
    fc.assert(
      fc.property(fc.json(), (text) => judge(Buffer.from(text))),
      { numRuns: 200 },
    );
  });

  it('refuses a message over the limit before it is parsed', () => {
    const huge = Buffer.from(`{"protocol":"/exec/1","pad":"${'x'.repeat(MAX_OPEN_MESSAGE)}"}`);
    expect(() => clientOpen.decode(huge)).toThrow(/where 32768 are allowed/);
  });

  it('refuses a message nested too deeply, brackets in strings not counted', () => {
    expect(() => decodeJson(Buffer.from('['.repeat(50_000) + ']'.repeat(50_000)), 200_000)).toThrow(/nested deeper/);
    expect(decodeJson(Buffer.from(`["${'['.repeat(100)}\\"["]`), 1_000)).toHaveLength(1);
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(() => decodeJson(Buffer.from([0x22, 0xff, 0x22]), 10)).toThrow(/not UTF-8/);
  });

  it('reads back what it wrote', () => {
    const open = { protocol: '/exec/1', device: 'pi', session: createId(), body: { argv: ['true'], nested: { a: [1, null] } } };
    expect(clientOpen.decode(clientOpen.encode(open))).toEqual(open);
  });

  it('does not let a message change the prototype of objects', () => {
    const bytes = Buffer.from(`{"protocol":"/exec/1","device":"d","session":"${'0'.repeat(32)}","body":{"__proto__":{"admin":true}}}`);
    const { body } = clientOpen.decode(bytes);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
    expect((body as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('the message splitter', () => {
  it('finds the same messages however the bytes are cut, and leaves the rest', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }), fc.integer({ min: 1, max: 40 }), (messages, size) => {
        const rest = Buffer.from([0, 0]);
        const bytes = Buffer.concat([...messages.map((message) => frameMessage(message)), rest]);
        const splitter = new MessageSplitter(60);
        const seen: string[] = [];
        for (let at = 0; at < bytes.length; at += size) {
          splitter.push(bytes.subarray(at, at + size));
          for (let message = splitter.next(); message !== null; message = splitter.next()) seen.push(message.toString('hex'));
        }
        expect(seen).toEqual(messages.map((message) => Buffer.from(message).toString('hex')));
        expect(splitter.rest()).toEqual(rest);
      }),
    );
  });

  it('refuses an announced length over the limit at once', () => {
    const splitter = new MessageSplitter(1_000);
    expect(() => splitter.push(Buffer.from([0xff, 0xff, 0xff, 0xff]))).toThrow(/4294967295 bytes/);
  });
});

describe('device keys', () => {
  const pair = createDeviceKeyPair();
  const proof = { relay: createId(), deviceId: createId<DeviceId>(), nonce: 'nonce', instance: createId() };

  it('prove with the private part what the public part verifies', () => {
    const signature = signText(proofText(proof), parsePrivateKey(pair.privateKey)!);
    expect(verifyText(proofText(proof), signature, parsePublicKey(pair.publicKey)!)).toBe(true);
    expect(verifyText(proofText({ ...proof, nonce: 'other' }), signature, parsePublicKey(pair.publicKey)!)).toBe(false);
    expect(verifyText(proofText(proof), signature, parsePublicKey(createDeviceKeyPair().publicKey)!)).toBe(false);
    expect(verifyText(proofText(proof), 'not a signature', parsePublicKey(pair.publicKey)!)).toBe(false);
  });

  it('have a fingerprint of their raw bytes', () => {
    expect(fingerprintOf(Buffer.alloc(32).toString('base64url'))).toBe(
      'sha256:66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925',
    );
  });

  it('are not made from text of another length or alphabet', () => {
    for (const text of ['', 'AAAA', `${pair.publicKey}=`, pair.publicKey.slice(1), '*'.repeat(43)]) expect(parsePublicKey(text)).toBeNull();
  });

  it('sign texts in which no part can pose as two', () => {
    const one = proofText({ relay: 'a"\n"b', deviceId: 'c' as DeviceId, nonce: 'd', instance: 'e' });
    const two = proofText({ relay: 'a', deviceId: 'b"\n"c' as DeviceId, nonce: 'd', instance: 'e' });
    expect(one).not.toBe(two);
  });
});

describe('scopes', () => {
  it.each([
    ['user:Admin@Example.com', 'user:admin@example.com'],
    ['org:acme', 'org:acme'],
    ['org:Acme', null],
    ['org:', null],
    ['org:-a', null],
    ['org:a/../b', null],
    ['user:nobody', null],
    ['user:a@b c', null],
    ['user:a@b\u0000', null],
    ['team:acme', null],
    ['', null],
  ])('%j is read as %j', (text, scope) => {
    expect(parseScope(text)).toBe(scope);
  });
});

describe('text of others', () => {
  it('has its control characters and direction marks shown', () => {
    expect(printable('pi\u001b[2Jx\u202ey\nz')).toBe('pi\\u{1b}[2Jx\\u{202e}y\\u{a}z');
    expect(printable('Zürich 日本')).toBe('Zürich 日本');
  });
});

describe('the error catalogue', () => {
  it('gives each code a wire number of its own', () => {
    const numbers = Object.values(ERRORS).map((row) => row.wire);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it('sends message and hint, never detail or cause', () => {
    const error = new TowlineError('forbidden', 'No.', { detail: 'the secret', cause: new Error('the cause') });
    expect(JSON.stringify(error.toPublic())).not.toMatch(/secret|cause/);
    expect(fromPublicError(JSON.parse(encodeJson(error.toPublic()).toString()))).toMatchObject({ code: 'forbidden', message: 'No.' });
  });

  it('reads an error of an unknown code as internal, with its text capped', () => {
    const error = fromPublicError({ code: 'constructor', message: 'x'.repeat(5_000), hint: 7 });
    expect(error.code).toBe('internal');
    expect(error.message).toHaveLength(1_000);
  });
});
