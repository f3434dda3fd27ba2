import { TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId, Scope } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addDevice, addShared, carry, startLiveAccess, unshare } from './live-sessions.ts';
import { openStoreHere, type StoreHere, withFault } from './store-here.ts';

let here: StoreHere;
beforeAll(async () => {
  here = await openStoreHere();
});
afterAll(() => here[Symbol.asyncDispose]());

describe('access that ends while the store fails', () => {
  it('is enforced as soon as the store answers again: nothing is forgotten', async () => {
    let down = true;
    const flaky = withFault(here.store, 'devices', 'get', () => {
      if (down) throw new TowlineError('store_failed');
    });
    const { access, watch, log } = await startLiveAccess(flaky);
    const device = await addShared(here.store, 'amy@example.com');
    const session = carry(device, 'amy@example.com');
    access.watch(session, access.round);
    await unshare(here.store, device);
    await watch.look();
    expect(session.endedWith, 'nobody knows yet').toBeNull();
    expect(log.lines).toContain('a session could not be judged anew; it is tried again');
    down = false;
    await watch.look();
    expect(session.endedWith).toMatchObject({ code: 'access_ended', message: 'Withdrawn.' });
    await watch[Symbol.asyncDispose]();
  });

  it('is read later when it could not be read', async () => {
    let down = true;
    const flaky = withFault(here.store, 'revocations', 'listAfter', () => {
      if (down) throw new TowlineError('store_failed');
    });
    const { access, watch } = await startLiveAccess(flaky);
    const device = await addShared(here.store, 'ben@example.com');
    const session = carry(device, 'ben@example.com');
    access.watch(session, access.round);
    await unshare(here.store, device);
    await watch.look();
    down = false;
    await watch.look();
    expect(session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });
});

describe('a session', () => {
  it('that was judged before access ended, and was not yet carried then, is judged once more', async () => {
    const { access, watch } = await startLiveAccess(here.store);
    const device = await addShared(here.store, 'cal@example.com');
    const judged = access.round;
    await unshare(here.store, device);
    await watch.look();
    const session = carry(device, 'cal@example.com');
    access.watch(session, judged);
    await expect.poll(() => session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });

  it('that is over is not judged any more', async () => {
    const { access, watch } = await startLiveAccess(here.store);
    const device = await addShared(here.store, 'deb@example.com');
    const session = carry(device, 'deb@example.com');
    access.watch(session, access.round)();
    await unshare(here.store, device);
    await watch.look();
    expect(session.endedWith).toBeNull();
    await watch[Symbol.asyncDispose]();
  });

  it('among a thousand is found, and only those that are touched are judged', async () => {
    let judged = 0;
    const counting = withFault(here.store, 'devices', 'get', () => {
      judged += 1;
    });
    const { access, watch } = await startLiveAccess(counting);
    await here.store.organisations.insert({ id: 'big' as OrgId, name: 'big', createdAt: 1, createdBy: 'test', revision: 1 });
    const devices = [await addShared(here.store, 'eli@example.com'), await addDevice(here.store, 'user:fay@example.com')];
    const touched = Array.from({ length: 500 }, () => carry(devices[0]!, 'eli@example.com'));
    const others = Array.from({ length: 500 }, () => carry(devices[1]!, 'fay@example.com'));
    for (const session of [...touched, ...others]) access.watch(session, access.round);
    await unshare(here.store, devices[0]!);
    const from = performance.now();
    await watch.look();
    expect(performance.now() - from).toBeLessThan(2_000);
    expect(touched.every(({ endedWith }) => endedWith?.code === 'access_ended')).toBe(true);
    expect(others.every(({ endedWith }) => endedWith === null)).toBe(true);
    expect(judged).toBe(500);
    await watch[Symbol.asyncDispose]();
  });
});

describe('a share whose time is over', () => {
  it('is taken away once, by one of two relays on the store, and written down by that one', async () => {
    const device = await addDevice(here.store, 'org:acme', [
      { scope: 'user:gus@example.com' as Scope, role: 'operator', until: Date.now() - 1 },
    ]);
    const [one, two] = [await startLiveAccess(here.store), await startLiveAccess(here.store)];
    await Promise.all([one.watch.look(), two.watch.look()]);
    expect((await here.store.devices.get(device.id, SYSTEM_SCOPE))?.shares).toEqual([]);
    expect([...one.audited, ...two.audited]).toEqual(['device.share_ended']);
    for (const { watch } of [one, two]) await watch[Symbol.asyncDispose]();
  });
});
