import type { TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseForward } from '../src/client/parse-forward.ts';

const ports = (first: number, last = first) => ({ kind: 'ports' as const, first, last });
const far = (host: string, first: number, last = first) => ({ kind: 'ports' as const, host, first, last });

describe('a target of the command line', () => {
  it.each([
    ['8080', ports(8080), far('localhost', 8080)],
    ['8080/udp', ports(8080), far('localhost', 8080)],
    ['9000:8080', ports(9000), far('localhost', 8080)],
    ['0:8080', ports(0), far('localhost', 8080)],
    ['9000:db.internal:5432', ports(9000), far('db.internal', 5432)],
    ['9000:10.0.0.7:5432/tcp', ports(9000), far('10.0.0.7', 5432)],
    ['9000:[fd00::1]:5432', ports(9000), far('fd00::1', 5432)],
    ['9000:[fe80::1%eth0]:5432', ports(9000), far('fe80::1%eth0', 5432)],
    ['0.0.0.0:9000:8080', { ...ports(9000), bind: '0.0.0.0' }, far('localhost', 8080)],
    ['*:9000:8080', { ...ports(9000), bind: '*' }, far('localhost', 8080)],
    ['localhost:9000:8080', { ...ports(9000), bind: 'localhost' }, far('localhost', 8080)],
    ['[::1]:9000:[::1]:8080', { ...ports(9000), bind: '::1' }, far('::1', 8080)],
    ['192.168.1.2:9000:db:5432', { ...ports(9000), bind: '192.168.1.2' }, far('db', 5432)],
    ['8001-8003', ports(8001, 8003), far('localhost', 8001, 8003)],
    ['9001-9003:8001-8003', ports(9001, 9003), far('localhost', 8001, 8003)],
    ['9001-9003:db:8001-8003/udp', ports(9001, 9003), far('db', 8001, 8003)],
    ['2375:/var/run/docker.sock', ports(2375), { kind: 'path', path: '/var/run/docker.sock' }],
    ['127.0.0.1:2375:/run/a:b.sock', { ...ports(2375), bind: '127.0.0.1' }, { kind: 'path', path: '/run/a:b.sock' }],
    ['./docker.sock:/run/docker.sock', { kind: 'path', path: './docker.sock' }, { kind: 'path', path: '/run/docker.sock' }],
    ['/tmp/pg.sock:5432', { kind: 'path', path: '/tmp/pg.sock' }, far('localhost', 5432)],
    ['../pg.sock:db:5432', { kind: 'path', path: '../pg.sock' }, far('db', 5432)],
    ['2375:/run/5/udp', ports(2375), { kind: 'path', path: '/run/5/udp' }],
  ])('%s', (text, local, end) => {
    const protocol = text.endsWith('8080/udp') || text.endsWith('8003/udp') ? 'udp' : 'tcp';
    expect(parseForward(text)).toEqual({ text, protocol, local, far: end });
  });

  it.each([
    ['', 'no port'],
    ['web', 'no port'],
    ['0', 'no port from 1'],
    ['65536', 'no port'],
    ['80:0', 'no port from 1'],
    ['8003-8001', 'no port'],
    ['0-3:1-4', 'cannot begin with port 0'],
    ['9001-9002:8001-8003', 'different length'],
    ['9000:8001-8003', 'different length'],
    ['db.internal:5432', 'say where to listen before it, as in 5432:db.internal:5432'],
    ['db.internal:9000:5432', 'write LOCAL:HOST:PORT'],
    ['9000:0177.0.0.1:80', 'four decimal numbers'],
    ['9000:0.0.0.0:80', 'no address to connect to'],
    ['9000:a b:80', 'not a host name'],
    ['9000:[::1:80', 'bracket'],
    ['9000:fd00::1:80', 'in brackets'],
    ['9000:db:', 'nothing follows'],
    ['9000::80', 'not valid: no host'],
    ['/run/app.sock', 'as in 2375:/run/app.sock'],
    ['2375-2376:/run/app.sock', 'several ports'],
    ['./a.sock:8001-8002', 'several ports'],
    ['2375:db:/run/app.sock', 'on the device itself'],
    ['2375:/run/../etc/x', 'without //'],
    ['2375:./app.sock', 'begins with /'],
    ['./a.sock:80/udp', 'no /udp'],
    ['80:80:80:80:80', 'expected PORT'],
    ['80/sctp', 'no port'],
  ])('is refused: “%s”, because of %s', (text, why) => {
    let error: TowlineError | undefined;
    try {
      parseForward(text);
    } catch (thrown) {
      error = thrown as TowlineError;
    }
    expect(error?.code).toBe('usage');
    expect(error?.message).toContain(why);
  });

  it('is understood or refused with a code, whatever it is', () => {
    const text = fc
      .array(fc.constantFrom(':', '[', ']', '/', '-', '.', '*', '%', '0', '8', '80', 'udp', 'db', '::1', './a'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (typed) => {
        try {
          parseForward(typed);
        } catch (error) {
          expect((error as TowlineError).code).toBe('usage');
        }
      }),
    );
  });
});
