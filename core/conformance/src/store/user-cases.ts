import assert from 'node:assert/strict';
import type { UserLogin } from '@towline/contract';
import { count, race } from './expectations.ts';
import { ADA, NOON, sampleLogin, sampleUser } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const DISABLED = { at: NOON + 90, code: 'user_disabled', message: 'The user was disabled.' };
const idOfUser = (n: number) => sampleUser(n).id;
const ids = (page: { readonly items: readonly { readonly id: string }[] }) => page.items.map(({ id }) => id);

function withoutEmail({ email: _, ...login }: UserLogin): UserLogin {
  return login;
}

/** Promises of the users. */
export const userCases: readonly StoreCase[] = [
  {
    name: 'users: the first login adds one, and it is read back as it was noted, with revision 1',
    async run({ store }) {
      assert.equal(await store.users.get(idOfUser(1)), null);
      assert.deepStrictEqual(await store.users.note(sampleLogin(1)), sampleUser(1));
      assert.deepStrictEqual(await store.users.get(idOfUser(1)), sampleUser(1));
      const login = withoutEmail(sampleLogin(2, { claims: [] }));
      const { email: _, ...user } = sampleUser(2, { claims: [] });
      assert.deepStrictEqual(await store.users.note(login), user);
      assert.deepStrictEqual(await store.users.get(idOfUser(2)), user);
    },
  },
  {
    name: 'users: a later login sets what it tells, and raises the revision only when that is more than the time',
    async run({ store }) {
      await store.users.note(sampleLogin(1));
      await store.users.note(sampleLogin(2));
      const seen = { lastSeenAt: NOON + 50 };
      assert.deepStrictEqual(await store.users.note(sampleLogin(1, { at: NOON + 50 })), sampleUser(1, seen));
      const changes: Partial<UserLogin>[] = [
        { label: 'other' },
        { email: 'other@example.com' },
        { provider: 'jwt' },
        { claims: [{ scope: ADA, role: 'admin' }] },
      ];
      let known = sampleUser(1, seen);
      for (const change of changes) {
        const { lastSeenAt: _, ...same } = known;
        known = { ...known, ...change, revision: known.revision + 1 };
        assert.deepStrictEqual(await store.users.note({ ...same, ...change, at: NOON + 50 }), known);
      }
      const { email: _, ...gone } = { ...known, revision: 6 };
      for (const _again of [1, 2]) assert.deepStrictEqual(await store.users.note(withoutEmail({ ...known, at: NOON + 50 })), gone);
      assert.deepStrictEqual(await store.users.get(idOfUser(1)), gone);
      assert.deepEqual(ids(await store.users.list({ email: 'other@example.com' }, ALL)), []);
      assert.deepStrictEqual(await store.users.get(idOfUser(2)), sampleUser(2));
    },
  },
  {
    name: 'users: one that is disabled stays so at a login',
    async run({ store }) {
      await store.users.note(sampleLogin(1));
      await store.users.disable(idOfUser(1), 'ada', DISABLED);
      const user = await store.users.note(sampleLogin(1, { label: 'other' }));
      assert.deepStrictEqual(user, sampleUser(1, { label: 'other', disabledAt: DISABLED.at, disabledBy: 'ada', revision: 3 }));
      assert.deepStrictEqual(await store.users.get(idOfUser(1)), user);
    },
  },
  {
    name: 'users: they are found by their exact e-mail address and by whether they are disabled, in the order of the ids',
    async run({ store }) {
      for (const n of [3, 1, 2]) await store.users.note(sampleLogin(n, { email: n === 2 ? 'two@example.com' : 'same@example.com' }));
      await store.users.note(withoutEmail(sampleLogin(4)));
      await store.users.disable(idOfUser(1), 'ada', DISABLED);
      assert.deepEqual(ids(await store.users.list({}, ALL)), [1, 2, 3, 4].map(idOfUser));
      assert.deepEqual(ids(await store.users.list({ email: 'same@example.com' }, ALL)), [1, 3].map(idOfUser));
      assert.deepEqual(ids(await store.users.list({ email: 'same@example.com', disabled: true }, ALL)), [idOfUser(1)]);
      assert.deepEqual(ids(await store.users.list({ disabled: true }, ALL)), [idOfUser(1)]);
      assert.deepEqual(ids(await store.users.list({ disabled: false }, ALL)), [2, 3, 4].map(idOfUser));
      for (const email of ['', 'same', 'SAME@example.com', '%']) assert.deepEqual(ids(await store.users.list({ email }, ALL)), []);
    },
  },
  {
    name: 'users: disabling one marks it and leaves a revocation; enabling takes the mark away',
    async run({ store }) {
      for (const n of [1, 2]) await store.users.note(sampleLogin(n));
      assert.equal(await store.users.disable(idOfUser(1), 'ada', DISABLED), true);
      const disabled = sampleUser(1, { disabledAt: DISABLED.at, disabledBy: 'ada', revision: 2 });
      assert.deepStrictEqual(await store.users.get(idOfUser(1)), disabled);
      assert.deepStrictEqual(await store.users.get(idOfUser(2)), sampleUser(2));
      assert.deepStrictEqual(await store.revocations.listAfter(0), [{ ...DISABLED, number: 1, kind: 'user', id: idOfUser(1) }]);
      assert.equal(await store.users.enable(idOfUser(1)), true);
      assert.deepStrictEqual(await store.users.get(idOfUser(1)), sampleUser(1, { revision: 3 }));
      assert.equal(await store.revocations.last(), 1);
    },
  },
  {
    name: 'users: one is disabled once and enabled once, also by many at one time, with one revocation',
    async run({ store }) {
      await store.users.note(sampleLogin(1));
      const disabled = await race(20, (n) => store.users.disable(idOfUser(1), `admin ${n}`, DISABLED));
      assert.deepEqual([count(disabled, true), count(disabled, false)], [1, 19]);
      assert.equal((await store.users.get(idOfUser(1)))?.disabledBy, `admin ${disabled.indexOf(true)}`);
      assert.equal(await store.revocations.last(), 1);
      const enabled = await race(20, () => store.users.enable(idOfUser(1)));
      assert.deepEqual([count(enabled, true), count(enabled, false)], [1, 19]);
    },
  },
  {
    name: 'users: one that is not there is neither disabled nor enabled',
    async run({ store }) {
      assert.equal(await store.users.disable(idOfUser(1), 'ada', DISABLED), false);
      assert.equal(await store.users.enable(idOfUser(1)), false);
      assert.equal(await store.users.get(idOfUser(1)), null);
      assert.equal(await store.revocations.last(), 0);
    },
  },
  {
    name: 'users: logins of one at one time leave one user, and each change is counted',
    async run({ store }) {
      const noted = await race(20, (n) => store.users.note(sampleLogin(1, { label: `label ${n}` })));
      const revisions = noted.map((user) => (typeof user === 'string' ? user : user.revision));
      assert.deepEqual(
        [...revisions].sort((a, b) => Number(a) - Number(b)),
        Array.from({ length: 20 }, (_, n) => n + 1),
      );
      const { items } = await store.users.list({}, ALL);
      assert.deepStrictEqual(items, [noted[revisions.indexOf(20)]]);
    },
  },
];
