import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddress, parseAddress } from '../src/target/address.ts';
import { createAllowList } from '../src/target/allow-list.ts';
import { parseAllowPattern } from '../src/target/allow-pattern.ts';
import { formatHost, parseHost } from '../src/target/host.ts';
import type { NetworkTarget } from '../src/target/target.ts';

const hostOf = (text: string) => {
  const host = parseHost(text);
  if (typeof host === 'string') throw new Error(`${text}: ${host}`);
  return host;
};
const target = (host: string, port = 80, kind: 'tcp' | 'udp' = 'tcp'): NetworkTarget => ({ kind, host: hostOf(host), port });
const written = (list: readonly string[], host: string, port = 80, kind: 'tcp' | 'udp' = 'tcp') =>
  createAllowList(list).allowsWritten(target(host, port, kind));
/** What the device says when the host has this address. */
const resolved = (list: readonly string[], host: string, address: string, port = 80) =>
  createAllowList(list).allowsAddress(target(host, port), parseAddress(address)!);

describe('a host of a target', () => {
  it.each([
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example.', 'xn--bcher-kva.example'],
    ['my_db', 'my_db'],
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]', '::1'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['FE80::A', 'fe80::a'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['2001:DB8:0:0:8:800:200C:417A', '2001:db8::8:800:200c:417a'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::ffff:7f00:1', '127.0.0.1'],
    ['[::FFFF:10.0.0.7]', '10.0.0.7'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ])('%s is %s', (text, canonical) => {
    expect(formatHost(hostOf(text))).toBe(canonical);
  });

  it.each([
    ['octal', '0177.0.0.1'],
    ['octal in one part', '10.0.0.08'],
    ['a decimal number', '2130706433'],
    ['a hexadecimal number', '0x7f000001'],
    ['hexadecimal parts', '0x7f.0x0.0x0.0x1'],
    ['two parts', '127.1'],
    ['three parts', '127.0.1'],
    ['five parts', '127.0.0.0.1'],
    ['a dot at its end', '127.0.0.1.'],
    ['a number beyond 255', '127.0.0.256'],
    ['full-width digits', '１２７.０.０.１'],
    ['full-width digits without dots', '２１３０７０６４３３'],
    ['ideographic dots', '127。0。0。1'],
    ['circled digits', '①②⑦.⓪.⓪.①'],
    ['the unspecified address', '0.0.0.0'],
    ['the unspecified address of IPv6', '::'],
    ['the mapped unspecified address', '::ffff:0.0.0.0'],
    ['a zone where none belongs', '127.0.0.1%lo'],
    ['a zone behind the loopback address', '::1%lo'],
    ['a zone behind a mapped address', '::ffff:169.254.169.254%eth0'],
    ['an empty zone', 'fe80::1%'],
    ['two zones', 'fe80::1%a%b'],
    ['a zone with a slash', 'fe80::1%../x'],
    ['an encoded zone', 'fe80::1%25eth0%2f'],
    ['half an address', '[::1'],
    ['brackets around a name', '[example.com]'],
    ['brackets around IPv4 in brackets', '[[::1]]'],
    ['nothing', ''],
    ['a dot', '.'],
    ['two dots', 'a..b'],
    ['a space', 'a b'],
    ['a NUL', 'a\0.example'],
    ['a line break', 'a\nb'],
    ['an @', 'user@host'],
    ['a line break between other letters', 'bü\ncher.example'],
    ['an @ between other letters', 'bü@cher.example'],
    ['a slash between other letters', 'bücher.example/x'],
    ['a letter that turns into a slash', 'bücher\u2100x'],
    ['a soft hyphen alone', '\u00ad'],
    ['a lone surrogate', '\ud800.example'],
    ['a slash', 'host/path'],
    ['a percent sign', '%31%32%37.0.0.1'],
    ['a dash at its end', 'host-'],
    ['a star', '*.example.com'],
    ['too long a label', `${'a'.repeat(64)}.example`],
    ['too long a name', `${'a.'.repeat(127)}com`],
    ['a very long text', 'a'.repeat(100_000)],
  ])('is refused when it has %s', (_what, text) => {
    expect(typeof parseHost(text)).toBe('string');
  });

  it('comes out of what it was written as, whatever the address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const address = parseAddress(text);
        // ipV6 makes mapped addresses as well.
        expect(address).not.toBeNull();
        expect(parseAddress(formatAddress(address!))).toEqual(address);
      }),
    );
  });

  it('never throws, whatever the text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void [parseHost(text), parseAllowPattern(text)]));
  });
});

describe('an entry of the allowed targets', () => {
  it.each([
    ['*:*'],
    ['localhost:8080'],
    ['localhost:*/tcp'],
    ['127.0.0.1:*'],
    ['10.0.0.0/8:22,80-90'],
    ['[::1]:53/udp'],
    ['[fd00::]/8:*'],
    ['[fd00::/8]:443'],
    ['fd00::/8:443'],
    ['*.internal:5432'],
    ['Bücher.example.:80'],
    ['unix:/run/app.sock'],
    ['unix:/run/app/*'],
    ['unix:*'],
  ])('%s can be understood', (text) => {
    expect(parseAllowPattern(text)).toBeTypeOf('object');
  });

  it.each([
    ['no port', 'localhost', 'expected HOST:PORTS'],
    ['an empty host', ':80', 'expected HOST:PORTS'],
    ['port 0', 'localhost:0', 'no port'],
    ['a port beyond all', 'localhost:65536', 'no port'],
    ['a port with a zero before it', 'localhost:080', 'no port'],
    ['a range that ends before it begins', 'localhost:90-80', 'no port'],
    ['an empty part', 'localhost:80,', 'no port'],
    ['another protocol', 'localhost:80/sctp', 'expected HOST:PORTS'],
    ['the unspecified address', '0.0.0.0:80', '* means any host'],
    ['the unspecified address of IPv6', '[::]:80', '* means any host'],
    ['octal', '0177.0.0.1:80', 'four decimal numbers'],
    ['a decimal number', '2130706433:80', 'four decimal numbers'],
    ['bits beyond the length of a network', '10.0.0.1/8:80', 'bits beyond its length'],
    ['a length that cannot be', '10.0.0.0/33:80', 'length is wrong'],
    ['a length with a zero before it', '10.0.0.0/08:80', 'length is wrong'],
    ['a network of a mapped address', '::ffff:10.0.0.0/104:80', 'length is wrong'],
    ['a zone', '[fe80::1%eth0]:80', 'no zone'],
    ['a star inside of a name', 'a*.internal:80', 'not a host name'],
    ['a star for a part of an address', '10.0.*.1:80', 'four decimal numbers'],
    ['a URL', 'http://localhost:80', 'no network'],
    ['a relative path', 'unix:run/app.sock', 'begins with /'],
    ['a path with dots', 'unix:/run/../etc/x', 'without //'],
    ['a star inside of a path', 'unix:/run/*/app.sock/..', 'without //'],
    ['a path that is too long', `unix:/${'a'.repeat(200)}`, 'at most 107'],
  ])('is refused when it has %s', (_what, text, why) => {
    expect(parseAllowPattern(text)).toContain(why);
  });
});

describe('a relay, which knows a target only as it is written,', () => {
  it.each<[boolean, string, string, number?, ('tcp' | 'udp')?]>([
    [true, '*:*', 'example.com'],
    [true, '*:*', '127.0.0.1'],
    [true, '*:*', '10.1.2.3', 53, 'udp'],
    [false, '*:*/tcp', '10.1.2.3', 53, 'udp'],
    [false, '*:443', 'example.com'],
    [true, 'example.com:80', 'EXAMPLE.com.'],
    [false, 'example.com:80', 'www.example.com'],
    [false, 'example.com:80', 'example.com.evil.org'],
    [true, '*.example.com:80', 'a.b.example.com'],
    [false, '*.example.com:80', 'example.com'],
    [false, '*.example.com:80', 'notexample.com'],
    [true, 'bücher.example:80', 'xn--bcher-kva.EXAMPLE'],
    [true, '127.0.0.1:*', '127.0.0.1'],
    [true, '127.0.0.1:*', 'localhost'],
    [true, '[::1]:*', 'localhost'],
    [true, 'localhost:*', '127.0.0.1'],
    [true, 'localhost:*', '127.9.9.9'],
    [true, 'localhost:*', '::1'],
    [true, 'localhost:*', '::ffff:127.0.0.1'],
    [false, 'localhost:*', 'localhost.evil.org'],
    [false, 'localhost:*', '10.0.0.1'],
    [false, '127.0.0.1:*', '127.0.0.2'],
    [true, '10.0.0.0/8:*', '10.200.0.1'],
    [true, '10.0.0.0/8:*', '::ffff:10.200.0.1'],
    [false, '10.0.0.0/8:*', '11.0.0.1'],
    [false, '10.0.0.0/8:*', 'ten.example'],
    [true, '[fd00::]/8:*', 'fd12::1'],
    [true, '0.0.0.0/0:*', '8.8.8.8'],
    [false, '0.0.0.0/0:*', '2001:db8::1'],
    [true, 'localhost:8000-8002,9000', 'localhost', 8_002],
    [false, 'localhost:8000-8002,9000', 'localhost', 8_003],
    [true, 'localhost:8000-8002,9000', 'localhost', 9_000],
    // What a wildcard never means.
    [false, '*:*', '169.254.169.254'],
    [false, '*:*', '::ffff:169.254.169.254'],
    [false, '*:*', '::ffff:a9fe:a9fe'],
    [false, '*:*', '64:ff9b::169.254.169.254'],
    [false, '*:*', '2002:a9fe:a9fe::1'],
    [false, '*:*', '::169.254.169.254'],
    [false, '*:*', '::ffff:0:169.254.169.254'],
    [false, '*:*', 'fe80::1'],
    [false, '*:*', 'fe80::1%eth0'],
    [false, '*:*', 'fd00:ec2::254'],
    [false, '*:*', 'fd00:ec2::23'],
    [false, '[fd00::]/8:*', 'fd00:ec2::23'],
    [true, '[fd00:ec2::254]:*', 'fd00:ec2::254'],
    [false, '*:*', '64:ff9b:1::a9fe:a9fe'],
    [false, '*:*', 'fd20:ce::254'],
    [false, '*:*', '100.100.100.200'],
    [false, '*:*', '168.63.129.16'],
    [false, '*:*', '192.0.0.192'],
    [false, '*:*', '224.0.0.251'],
    [false, '*:*', '255.255.255.255'],
    [false, '*:*', 'ff02::fb'],
    [false, '0.0.0.0/0:*', '169.254.169.254'],
    [false, '[::]/0:*', 'fe80::1'],
    [false, '100.64.0.0/10:*', '100.100.100.200'],
    [true, '100.64.0.0/10:*', '100.100.100.201'],
    [true, '169.254.169.254:80', '169.254.169.254'],
    [true, '169.254.0.0/16:*', '169.254.169.254'],
    [false, '169.254.0.0/15:*', '169.254.169.254'],
    [true, '169.254.169.254:80', '::ffff:169.254.169.254'],
    [false, '169.254.169.254:80', '64:ff9b::169.254.169.254'],
    [true, '[fe80::]/10:*', 'fe80::1%eth0'],
    [true, '[fe80::1]:*', 'fe80::1%eth0'],
    [false, '[fe80::1]:*', 'fe80::2%eth0'],
  ])('says %s: %s, asked for %s', (allowed, entry, host, port = 80, kind = 'tcp') => {
    expect(written([entry], host, port, kind)).toBe(allowed);
  });

  it('allows nothing with an empty list, and unix sockets only when they are listed', () => {
    expect(written([], 'localhost')).toBe(false);
    const path = (entry: string, asked: string) => createAllowList([entry]).allowsWritten({ kind: 'unix', path: asked });
    expect(path('*:*', '/run/app.sock')).toBe(false);
    expect(path('unix:*', '/run/app.sock')).toBe(true);
    expect(path('unix:/run/app.sock', '/run/app.sock')).toBe(true);
    expect(path('unix:/run/app.sock', '/run/app.sock2')).toBe(false);
    expect(path('unix:/run/*', '/run/app.sock')).toBe(true);
    expect(path('unix:/run/*', '/run/app/app.sock')).toBe(false);
    expect(path('unix:/run/*', '/running.sock')).toBe(false);
    expect(path('unix:/run/*', '/run')).toBe(false);
  });
});

describe('a device, which knows the address,', () => {
  it.each<[boolean, string, string, string]>([
    [true, 'localhost:*', 'localhost', '127.0.0.1'],
    [true, 'localhost:*', 'localhost', '::1'],
    [false, 'localhost:*', 'localhost', '10.0.0.1'],
    [true, 'localhost:*', 'some.name', '127.0.0.1'],
    [true, '127.0.0.1:*', 'localhost', '127.0.0.1'],
    [false, '127.0.0.1:*', 'localhost', '::1'],
    [true, '10.0.0.0/8:*', 'ten.example', '10.0.0.7'],
    [true, '10.0.0.0/8:*', 'ten.example', '::ffff:10.0.0.7'],
    [false, '10.0.0.0/8:*', 'ten.example', '11.0.0.7'],
    [true, 'db.internal:*', 'db.internal', '10.0.0.7'],
    [true, '*.internal:*', 'db.internal', '8.8.8.8'],
    [false, 'db.internal:*', 'web.internal', '10.0.0.7'],
    // A name that leads where only the address itself would be allowed.
    [false, 'db.internal:*', 'db.internal', '127.0.0.1'],
    [false, 'db.internal:*', 'db.internal', '::1'],
    [false, '*.internal:*', 'db.internal', '169.254.169.254'],
    [false, '*:*', 'db.internal', '169.254.169.254'],
    [false, '*:*', 'db.internal', '::ffff:169.254.169.254'],
    [false, '*:*', 'db.internal', '64:ff9b::a9fe:a9fe'],
    [false, '*:*', 'db.internal', 'fe80::1'],
    [false, '*:*', 'db.internal', '0.0.0.0'],
    [false, '*:*', 'db.internal', '::'],
    [false, 'db.internal:*', 'db.internal', '0.0.0.0'],
    [false, '0.0.0.0/0:*', 'db.internal', '0.0.0.0'],
    [true, '*:*', 'db.internal', '127.0.0.1'],
    [true, '169.254.169.254:*', 'db.internal', '169.254.169.254'],
  ])('says %s: %s, asked for %s, which is %s', (allowed, entry, host, address) => {
    expect(resolved([entry], host, address)).toBe(allowed);
  });

  it('goes by what paths really are', async () => {
    const links: Record<string, string> = { '/var/run': '/run', '/var/run/docker.sock': '/run/docker.sock', '/run': '/run' };
    const real = async (path: string) => links[path] ?? null;
    const allows = (entry: string, path: string) => createAllowList([entry]).allowsRealPath(path, real);
    expect(await allows('unix:/var/run/docker.sock', '/run/docker.sock')).toBe(true);
    expect(await allows('unix:/var/run/*', '/run/docker.sock')).toBe(true);
    expect(await allows('unix:/run/*', '/root/secret.sock')).toBe(false);
    expect(await allows('unix:/gone/*', '/run/docker.sock')).toBe(false);
    expect(await allows('*:*', '/run/docker.sock')).toBe(false);
  });
});

describe('many ports of one host', () => {
  const list = createAllowList(['10.0.0.0/8:80-90', 'db.internal:5432,6000-6010/tcp', '*.internal:7000/udp', 'localhost:22', '*:9000']);
  const ports = Array.from({ length: 10_000 }, (_, at) => at + 1);

  it.each(['10.0.0.7', 'db.internal', 'x.internal', 'localhost', '169.254.169.254', 'nobody.example'])(
    'are judged as each by itself: %s',
    (host) => {
      for (const kind of ['tcp', 'udp'] as const) {
        const [asked, address] = [target(host, 1, kind), parseAddress('10.0.0.7')!];
        const [byName, byAddress] = [list.judgeWritten(asked), list.judgeAddress(asked, address)];
        expect(ports.filter(byName)).toEqual(ports.filter((port) => list.allowsWritten({ ...asked, port })));
        expect(ports.filter(byAddress)).toEqual(ports.filter((port) => list.allowsAddress({ ...asked, port }, address)));
      }
    },
  );

  it('cost one look at the host, whatever the number of ports: a question about thousands holds up nobody', () => {
    let looks = 0;
    const counted: NetworkTarget = {
      kind: 'tcp',
      port: 1,
      get host() {
        looks += 1;
        return hostOf('db.internal');
      },
    };
    expect(ports.filter(list.judgeWritten(counted))).toContain(6_010);
    expect(looks).toBe(1);
  });
});
