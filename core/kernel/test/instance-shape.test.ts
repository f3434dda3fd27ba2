import { describe, expect, it } from 'vitest';
import { findShapeFault } from '../src/plugins/instance-shape.ts';
import { openStoreHere } from './store-here.ts';

describe('an instance of a store plugin', () => {
  it('that is whole is taken', async () => {
    await using here = await openStoreHere();
    expect(findShapeFault('store', here.store)).toBeNull();
  });

  it.each(['secrets', 'export', 'import', 'devices', 'ping'])('without %s is refused, and that is named', async (missing) => {
    await using here = await openStoreHere();
    const lacking = new Proxy(here.store, { get: (target, name) => (name === missing ? undefined : Reflect.get(target, name, target)) });
    expect(findShapeFault('store', lacking)).toBe(`its create() returned an object without ${missing}`);
  });

  it('as an earlier version knew it, before there were secrets and exports, is told all that it lacks', () => {
    const repositories = Object.fromEntries(
      ['devices', 'registrations', 'keys', 'sessions', 'audit', 'revocations', 'meta'].map((name) => [name, {}]),
    );
    const fault = findShapeFault('store', { ...repositories, ping: async () => undefined });
    expect(fault).toBe('its create() returned an object without secrets, export, import');
  });
});
