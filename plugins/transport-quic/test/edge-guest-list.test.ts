import { describe, expect, it } from 'vitest';
import { createGuestList } from '../src/edge/guest-list.ts';

const limits = { maxConnections: 6, maxStrangers: 4, maxStrangersPerAddress: 2 };

describe('the list of connections', () => {
  it('lets so many strangers in from one address, and more once some are known or gone', () => {
    const guests = createGuestList(limits);
    const [first, second] = [guests.enter('192.0.2.1'), guests.enter('192.0.2.1')];
    expect(() => guests.enter('192.0.2.1')).toThrow(expect.objectContaining({ code: 'rate_limited' }));
    guests.enter('192.0.2.2');
    first.known();
    const third = guests.enter('192.0.2.1');
    expect(() => guests.enter('192.0.2.1')).toThrow(expect.objectContaining({ code: 'rate_limited' }));
    second.left();
    second.left();
    guests.enter('192.0.2.1');
    expect([guests.connections, guests.strangers]).toEqual([4, 3]);
    third.left();
    expect([guests.connections, guests.strangers]).toEqual([3, 2]);
  });

  it('bounds strangers in total, and connections', () => {
    const guests = createGuestList(limits);
    const entered = [1, 2, 3, 4].map((n) => guests.enter(`192.0.2.${n}`));
    expect(() => guests.enter('192.0.2.5')).toThrow('Too many connections wait to be let in.');
    for (const guest of entered) guest.known();
    guests.enter('192.0.2.5');
    guests.enter('192.0.2.6');
    expect(() => guests.enter('192.0.2.7')).toThrow('as many QUIC connections as it may');
    for (const guest of entered) guest.left();
    expect([guests.connections, guests.strangers]).toEqual([2, 2]);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff', true],
    ['2001:db8::1', '2001:db8:0:0:1::', true],
    ['2001:0db8:0001:0002::1', '2001:db8:1:2::2', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['fe80::1%eth0', 'fe80::2%eth1', true],
    ['::1', '::2', true],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.2', false],
    ['192.0.2.1', '192.0.2.2', false],
  ])('takes %s and %s as of one origin: %s', (one, other, same) => {
    const guests = createGuestList({ maxConnections: 9, maxStrangers: 9, maxStrangersPerAddress: 1 });
    guests.enter(one);
    const enter = () => guests.enter(other);
    if (same) expect(enter).toThrow(expect.objectContaining({ code: 'rate_limited' }));
    else expect(enter).not.toThrow();
  });
});
