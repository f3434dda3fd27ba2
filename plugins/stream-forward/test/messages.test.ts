import type { TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readSocksAddress, readSocksDatagram, restOfAddress } from '../src/client/socks-message.ts';
import { forwardBodySchema } from '../src/messages.ts';
import { plugin } from '../src/relay.ts';

describe('what programs say by SOCKS', () => {
  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const read = readSocksDatagram(Buffer.from(bytes));
        if (read !== null) expect(read.head.length + read.bytes.length).toBe(bytes.length);
        const rest = restOfAddress(bytes[0] ?? 0, bytes[1] ?? 0);
        if (rest === null || bytes.length < 2 + rest) return;
        try {
          readSocksAddress(Buffer.from(bytes.subarray(0, 2 + rest)));
        } catch (error) {
          expect((error as TowlineError).code).toBe('invalid_request');
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['an IPv4 address', [1, 10, 0, 0, 7, 0, 80], { host: '10.0.0.7', port: 80 }],
    ['a name', [3, 2, 0x64, 0x42, 0x15, 0x38], { host: 'db', port: 5432 }],
    ['an IPv6 address', [4, ...Array(15).fill(0), 1, 0, 53], { host: '::1', port: 53 }],
    ['a mapped address', [4, ...Array(10).fill(0), 255, 255, 127, 0, 0, 1, 0, 53], { host: '127.0.0.1', port: 53 }],
  ])('%s', (_what, bytes, target) => {
    expect(restOfAddress(bytes[0]!, bytes[1]!)).toBe(bytes.length - 2);
    expect(readSocksAddress(Buffer.from(bytes))).toEqual(target);
  });
});

describe('the relay half', () => {
  const relay = (allow?: readonly string[]) => {
    const options = plugin.options['~standard'].validate(allow === undefined ? {} : { allow }) as { value: never };
    return plugin.create(options.value, {} as never);
  };
  const prepare = (body: unknown, allow?: readonly string[]) => relay(allow).prepare(forwardBodySchema.parse(body), {} as never);
  const codeOf = (body: unknown, allow?: readonly string[]) => {
    try {
      return prepare(body, allow) && 'allowed';
    } catch (error) {
      return (error as TowlineError).code;
    }
  };

  it('asks the device for one form of a target, and names it in the audit as it was asked for', () => {
    const { body, audit } = prepare({ target: { kind: 'tcp', host: 'BÜCHER.example.', port: 443 } });
    expect(body).toEqual({ target: { kind: 'tcp', host: 'xn--bcher-kva.example', port: 443 } });
    expect(audit).toEqual({ forward: 'tcp', host: 'BÜCHER.example.', port: 443 });
    expect(prepare({ target: { kind: 'unix', path: '/run/a.sock' } }).audit).toEqual({ forward: 'unix', path: '/run/a.sock' });
  });

  it('leaves all to the device that was not told otherwise, but for what no wildcard means', () => {
    expect(codeOf({ target: { kind: 'tcp', host: 'db.internal', port: 1 } })).toBe('allowed');
    expect(codeOf({ target: { kind: 'unix', path: '/run/a.sock' } })).toBe('allowed');
    expect(codeOf({ target: { kind: 'tcp', host: '169.254.169.254', port: 80 } })).toBe('target_not_allowed');
  });

  it('judges each target, and each port of those that are asked about', () => {
    const list = ['127.0.0.1:8000-8010/tcp'];
    expect(codeOf({ target: { kind: 'tcp', host: 'localhost', port: 8000 } }, list)).toBe('allowed');
    expect(codeOf({ target: { kind: 'udp', host: 'localhost', port: 8000 } }, list)).toBe('target_not_allowed');
    expect(codeOf({ target: { kind: 'unix', path: '/run/a.sock' } }, list)).toBe('target_not_allowed');
    const check = (port: number, last_port: number) => ({ check: [{ kind: 'tcp', host: '127.0.0.1', port, last_port }] });
    expect(codeOf(check(8000, 8010), list)).toBe('allowed');
    expect(codeOf(check(8000, 8011), list)).toBe('target_not_allowed');
  });

  it.each([
    ['no target', {}],
    ['both', { target: { kind: 'tcp', host: 'a', port: 1 }, check: [] }],
    ['port 0', { target: { kind: 'tcp', host: 'a', port: 0 } }],
    ['a key too many', { target: { kind: 'tcp', host: 'a', port: 1, user: 'x' } }],
    ['a range backwards', { check: [{ kind: 'tcp', host: 'a', port: 9, last_port: 8 }] }],
    ['all ports of all kinds', { check: Array(64).fill({ kind: 'tcp', host: 'a', port: 1, last_port: 65_535 }) }],
    ['too many ranges', { check: Array(65).fill({ kind: 'unix', path: '/a' }) }],
    ['a host of 2,000 letters', { target: { kind: 'tcp', host: 'a'.repeat(2_000), port: 1 } }],
  ])('refuses a body with %s', (_what, body) => {
    expect(forwardBodySchema.safeParse(body).success).toBe(false);
  });

  it.each([['0177.0.0.1'], ['0.0.0.0'], ['[::1'], ['a b']])('refuses the host “%s” as no host', (host) => {
    expect(codeOf({ target: { kind: 'tcp', host, port: 80 } })).toBe('invalid_request');
  });

  it('says what is wrong with an entry of its list', () => {
    const { issues } = plugin.options['~standard'].validate({ allow: ['localhost:*', '10.0.0.1/8:80'] }) as {
      issues: { message: string; path: unknown }[];
    };
    expect(issues).toMatchObject([{ message: expect.stringContaining('bits beyond its length'), path: ['allow', 1] }]);
  });
});
