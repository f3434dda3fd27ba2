import { type OpenSession, type Principal, type Store, TowlineError } from '@towline/contract';
import type { Scope, SessionId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../src/access/authenticate.ts';
import { createReportedSessions } from '../src/links/reported-sessions.ts';
import { addDevice, addShared, carry, clock, handlers, principalOf, startLiveAccess, unshare } from './live-sessions.ts';
import { createKeptLog, openStoreHere, type StoreHere, withFault } from './store-here.ts';

let here: StoreHere;
beforeAll(async () => {
  here = await openStoreHere();
});
afterAll(() => here[Symbol.asyncDispose]());

/** The same store, whose answers to some look-ups wait. The look-up itself is done at once. */
function withSlowAnswers(store: Store, place: 'devices' | 'revocations', method: string, after: () => Promise<void>): Store {
  const part = new Proxy(store[place], {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function' || name !== method) return typeof value === 'function' ? value.bind(target) : value;
      return async (...args: unknown[]) => {
        const answer: unknown = await (value as (...all: unknown[]) => unknown).apply(target, args);
        await after();
        return answer;
      };
    },
  });
  return new Proxy(store, {
    get(target, name) {
      if (name === place) return part;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

describe('access that ends while a session is judged anew for another reason', () => {
  it('ends the session: what was noted meanwhile is not struck off with the older judgement', async () => {
    let release = () => {};
    let slow = true;
    const answered = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reads = 0;
    const late = withSlowAnswers(here.store, 'devices', 'get', async () => {
      if (slow) await answered;
    });
    // The second look finds nothing more; in the time it takes, the older judgement comes to its end.
    const both = withSlowAnswers(late, 'revocations', 'listAfter', async () => {
      reads += 1;
      if (reads !== 2) return;
      slow = false;
      release();
      await new Promise((later) => setTimeout(later, 30));
    });
    const { access, watch } = await startLiveAccess(both);
    const device = await addShared(here.store, 'ann@example.com');
    const session = carry(device, 'ann@example.com');
    // Access of somebody else ended while this one was opened, so it is judged once more: it may.
    access.watch(session, access.round - 1);
    await new Promise((later) => setTimeout(later, 50));
    await unshare(here.store, device);
    reads = 0;
    await watch.look();
    await watch.look();
    expect(session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });
});

describe('a session that was judged by a credential which its link has given up since', () => {
  it('is judged by the one the link lives by now, though it was not carried yet when that came', async () => {
    const { access, watch } = await startLiveAccess(here.store);
    const device = await addShared(here.store, 'bea@example.com');
    const session = carry(device, 'bea@example.com');
    const judged = access.round;
    // The opening was allowed, and is being written down. Meanwhile the link is renewed by a key of the same user for shells alone.
    const { credential } = session.opener;
    credential.renew({ ...principalOf('bea@example.com'), streams: ['shell'] });
    access.noteRenewed(credential);
    await access.enforce();
    access.watch(session, judged);
    await expect.poll(() => session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });
});

describe('openings that cross the end of much access', () => {
  it('cost one judgement each, and not one of everything that waits', async () => {
    let judged = 0;
    const counting = withFault(here.store, 'devices', 'get', () => {
      judged += 1;
    });
    const { access, watch } = await startLiveAccess(counting);
    const device = await addShared(here.store, 'cid@example.com');
    const waiting = Array.from({ length: 200 }, () => carry(device, 'cid@example.com'));
    for (const session of waiting) access.watch(session, access.round);
    access.note({ kind: 'access', id: device.id, message: 'x' });
    for (let at = 0; at < 20; at += 1) access.watch(carry(device, 'cid@example.com'), access.round - 1);
    await watch.look();
    await new Promise((later) => setTimeout(later, 300));
    expect(judged).toBeLessThanOrEqual(2 * 220);
    await watch[Symbol.asyncDispose]();
  });
});

describe('sessions that a device brings with it', () => {
  it('are judged each by itself: one that cannot be judged does not keep the others', async () => {
    const log = createKeptLog();
    const device = await addShared(here.store, 'dan@example.com');
    await here.store.users.note({ id: 'idp|eve', label: 'eve', email: 'eve@example.com', provider: 'test', claims: [], at: 1 });
    await here.store.users.note({ id: 'idp|dan', label: 'dan', email: 'dan@example.com', provider: 'test', claims: [], at: 1 });
    const make = async (id: string, user: string) => {
      const session: OpenSession = {
        ...{ id: id as SessionId, deviceId: device.id, deviceName: device.name, owner: device.owner, protocol: '/exec/1', openedAt: 1 },
        ...{ actor: { kind: 'user', id: user, label: user }, address: '127.0.0.1', detail: {} },
      };
      await here.store.sessions.insert(session);
    };
    const [broken, foreign] = ['00000000000000000000000000000001', '00000000000000000000000000000002'];
    await make(broken, 'idp|dan');
    await make(foreign, 'idp|eve');
    // The record of one user cannot be read.
    const store = new Proxy(here.store, {
      get(target, name) {
        const value = Reflect.get(target, name) as unknown;
        if (name !== 'users') return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
        return new Proxy(target.users, {
          get(users, method) {
            if (method !== 'get') return Reflect.get(users, method) as unknown;
            return async (id: string) => {
              if (id === 'idp|dan') throw new TowlineError('store_failed');
              return users.get(id);
            };
          },
        });
      },
    });
    const judge = createReportedSessions({ store, settling: { store, admins: new Set(), clock }, handlers, joined: new Map(), log });
    const told: unknown[] = [];
    let close = () => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    judge({ device, link: { closed }, send: (message: unknown) => void told.push(message) } as never, [broken, foreign]);
    await new Promise((later) => setTimeout(later, 400));
    close();
    expect(told).toMatchObject([{ type: 'end_session', session: foreign, code: 'access_ended' }]);
  });
});

describe('a session that a key of a user carries', () => {
  it('ends when the next login of that user proves less than the one before', async () => {
    const { access, watch } = await startLiveAccess(here.store);
    const device = await addDevice(here.store, 'org:acme');
    const claims = [{ scope: 'org:acme' as Scope, role: 'operator' as const }];
    const login: Principal = { ...principalOf('gil@example.com'), scopes: claims };
    let proved = login;
    const provider = { authenticate: async () => ({ outcome: 'accepted' as const, principal: proved }) };
    const settling = { store: here.store, admins: new Set<string>(), clock };
    const changed = (id: string) => {
      access.note({ kind: 'user', id, message: 'The last login proves less than the one before.' });
      return access.enforce();
    };
    const parts = { ...settling, changed, log: createKeptLog() };
    const { authenticate } = createAuthenticator([{ name: 'test', provider }], parts);
    const ask = () => authenticate({ authorization: 'Bearer x' }, AbortSignal.timeout(5_000));
    await ask();
    const session = carry(device, 'gil@example.com', { ...principalOf('gil@example.com'), bounded: true });
    access.watch(session, access.round);
    proved = { ...login, scopes: [] };
    await ask();
    await expect.poll(() => session.endedWith).toMatchObject({ code: 'access_ended' });
    await watch[Symbol.asyncDispose]();
  });
});
