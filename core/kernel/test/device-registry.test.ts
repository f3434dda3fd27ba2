import type { Device, Link } from '@towline/contract';
import { createId, type DeviceId } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { createDeviceRegistry, type DeviceLink } from '../src/links/registry.ts';

const ID = createId<DeviceId>();

/** A link as the registry looks at it: whose it is, and how many streams are open on it. */
function linkWith(instance: string, streams = 1): DeviceLink & { streams: number } {
  const link = {
    streams,
    device: { id: ID } as Device,
    keyId: 'key',
    link: {
      get stats() {
        return { bytesIn: 0, bytesOut: 0, openStreams: link.streams, lastReceivedMs: 0 };
      },
    } as Link,
    transport: 'tls',
    address: '203.0.113.1',
    since: 0,
    instance,
    hostname: 'pi',
    serves: [],
    features: [],
    nonce: '',
    ready: true,
    line: { begunAt: 0, keyIds: new Set<string>() },
    timeMs: () => 0,
    send: () => {},
    dismiss: async () => {},
  };
  return link;
}

describe('the registry', () => {
  it('puts a new link in the place of all older ones, unless it came beside them', () => {
    const registry = createDeviceRegistry();
    const [one, two, three] = [linkWith('a', 3), linkWith('a', 3), linkWith('a', 3)];
    expect(registry.replace(one, false)).toEqual({ retiring: null, dismissed: [] });
    expect(registry.replace(two, true)).toEqual({ retiring: one, dismissed: [] });
    expect(registry.get(ID)).toBe(two);
    expect(registry.linksOf(ID)).toEqual([two, one]);
    expect(registry.replace(three, false)).toEqual({ retiring: null, dismissed: [two, one] });
    expect(registry.all()).toEqual([three]);
  });

  it('lets no link of another runtime stay, whatever the new one says', () => {
    const registry = createDeviceRegistry();
    const [one, two, other] = [linkWith('a', 3), linkWith('a', 3), linkWith('b', 3)];
    registry.replace(one, false);
    registry.replace(two, true);
    expect(registry.replace(other, true)).toEqual({ retiring: null, dismissed: [two, one] });
  });

  it('lets one link stay, the newest that is in use', () => {
    const registry = createDeviceRegistry();
    const [one, two, three, four] = [linkWith('a', 3), linkWith('a', 1), linkWith('a', 2), linkWith('a', 1)];
    registry.replace(one, false);
    registry.replace(two, true);
    // Nothing is open on the second: what runs on the first need not end for it.
    expect(registry.replace(three, true)).toEqual({ retiring: one, dismissed: [two] });
    expect(registry.replace(four, true)).toEqual({ retiring: three, dismissed: [one] });
    expect(registry.linksOf(ID)).toEqual([four, three]);
  });

  it('is not confused by a link that dies late', () => {
    const registry = createDeviceRegistry();
    const [one, two, three] = [linkWith('a', 2), linkWith('a', 2), linkWith('a', 2)];
    registry.replace(one, false);
    registry.replace(two, false);
    registry.remove(one);
    expect(registry.get(ID)).toBe(two);
    registry.replace(three, true);
    registry.remove(two);
    expect(registry.linksOf(ID)).toEqual([three]);
    registry.remove(two);
    registry.remove(three);
    expect(registry.all()).toEqual([]);
  });

  it('returns to the older link when the newer one goes first', () => {
    const registry = createDeviceRegistry();
    const [one, two] = [linkWith('a', 2), linkWith('a', 2)];
    registry.replace(one, false);
    registry.replace(two, true);
    expect(registry.isRetiring(one)).toBe(true);
    registry.remove(two);
    expect(registry.get(ID)).toBe(one);
    expect(registry.isRetiring(one)).toBe(false);
    registry.remove(one);
    expect(registry.get(ID)).toBeNull();
  });

  it('knows every link there is: with a place, without one yet, and retiring', () => {
    const registry = createDeviceRegistry();
    const [one, two, three] = [linkWith('a', 2), linkWith('a', 2), linkWith('a')];
    registry.replace(one, false);
    registry.replace(two, true);
    registry.admit(three);
    expect(new Set(registry.all())).toEqual(new Set([one, two, three]));
    registry.remove(three);
    expect(registry.all()).toHaveLength(2);
  });
});
