import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId } from '@towline/protocol';
import { ACME_ID, sampleMembership, sampleOrganisation } from '../../src/store/samples.ts';
import { type Break, replace } from './break.ts';

const ALL = { limit: 500 };
const NOTICE = { at: 1, code: 'gone', message: 'gone' };
const FOREIGN = 'organisations: one whose scope the caller does not hold is answered like one that does not exist, and nothing is changed';
const DELETED = 'organisations: a deleted one is still got, but has no members, is not listed and takes none; a revocation tells of it';

/** Stores that break one promise of the organisations and their members. */
export const organisationBreaks: readonly Break[] = [
  {
    promise: 'organisations: one is read back as it was inserted, with revision 1, and listed in the order of the ids',
    fault: 'lists in another order',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        list: async (...args) => {
          const { items, next } = await good.list(...args);
          return { items: items.toReversed(), next };
        },
      })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of get',
    of: (store) => replace(store, 'organisations', (good) => ({ get: (id) => good.get(id, SYSTEM_SCOPE) })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of list',
    of: (store) => replace(store, 'organisations', (good) => ({ list: (page) => good.list(page, SYSTEM_SCOPE) })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of listMembers',
    of: (store) => replace(store, 'organisations', (good) => ({ listMembers: (id, page) => good.listMembers(id, page, SYSTEM_SCOPE) })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of setMember',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        setMember: (membership, _, notice) => good.setMember(membership, SYSTEM_SCOPE, notice),
      })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of removeMember',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        removeMember: (id, email, notice) => good.removeMember(id, email, notice, SYSTEM_SCOPE),
      })),
  },
  {
    promise: FOREIGN,
    fault: 'ignores the caller of delete',
    of: (store) => replace(store, 'organisations', (good) => ({ delete: (id, notice) => good.delete(id, notice, SYSTEM_SCOPE) })),
  },
  {
    promise: FOREIGN,
    fault: 'takes the scope of a person for that of an organisation',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        get: (id, caller) =>
          good.get(id, caller !== SYSTEM_SCOPE && caller.some((scope) => scope.endsWith(`:${id}`)) ? SYSTEM_SCOPE : caller),
      })),
  },
  {
    promise: DELETED,
    fault: 'forgets it',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        get: async (id, caller) => {
          const organisation = await good.get(id, caller);
          return organisation?.deletedAt === undefined ? organisation : null;
        },
      })),
  },
  {
    promise: DELETED,
    fault: 'keeps the members',
    of: (store) => {
      let kept: Awaited<ReturnType<typeof store.organisations.listMembers>> | undefined;
      return replace(store, 'organisations', (good) => ({
        delete: async (id, notice, caller) => {
          kept = await good.listMembers(id, ALL, caller);
          return good.delete(id, notice, caller);
        },
        listMembers: async (id, page, caller) => kept ?? good.listMembers(id, page, caller),
      }));
    },
  },
  {
    promise: 'organisations: an id is given once, also after the end of its organisation',
    fault: 'gives that of a deleted one again',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        insert: async (organisation) =>
          (await good.get(organisation.id, SYSTEM_SCOPE))?.deletedAt !== undefined || good.insert(organisation),
      })),
  },
  {
    promise: 'organisations: one is made once and deleted once, also by many at one time',
    fault: 'looks first and deletes later',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        delete: async (id, notice, caller) => {
          const there = (await good.get(id, caller))?.deletedAt === undefined;
          await good.delete(id, notice, caller);
          return there;
        },
      })),
  },
  {
    promise: 'members: they are listed in the order of their addresses; another role leaves who added them and when',
    fault: 'adds them anew',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        setMember: async (membership, caller, notice) => {
          await good.removeMember(membership.org, membership.email, NOTICE, caller);
          return good.setMember(membership, caller, notice);
        },
      })),
  },
  {
    promise: 'members: those of one organisation are not those of another',
    fault: 'removes an address from all',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        removeMember: async (id, email, notice, caller) => {
          const outcome = await good.removeMember(id, email, notice, caller);
          await good.removeMember('acme-2' as OrgId, email, notice, caller);
          return outcome;
        },
      })),
  },
  {
    promise: 'members: without the organisation or the member the outcome is absent',
    fault: 'makes the organisation',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        setMember: async (membership, caller, notice) => {
          await good.insert(sampleOrganisation({ id: membership.org }));
          return good.setMember(membership, caller, notice);
        },
      })),
  },
  {
    promise: 'members: a change with a notice, and a removal, leaves a revocation of the address',
    fault: 'loses the revocation',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => (await good.listAfter(number)).filter(({ kind }) => kind !== 'membership'),
      })),
  },
  {
    promise: 'members: a change with a notice, and a removal, leaves a revocation of the address',
    fault: 'leaves one of a removal of nobody',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        removeMember: async (id, email, notice, caller) => {
          const outcome = await good.removeMember(id, email, notice, caller);
          if (outcome === 'absent') {
            await good.setMember(sampleMembership(1, { email, role: 'viewer' }), caller);
            await good.removeMember(id, email, notice, caller);
          }
          return outcome;
        },
      })),
  },
  {
    promise: 'members: the last admin is neither removed nor given another role',
    fault: 'removes it',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        removeMember: async (id, email, notice, caller) => {
          await good.setMember(sampleMembership(99, { role: 'admin' }), caller);
          return good.removeMember(id, email, notice, caller);
        },
      })),
  },
  {
    promise: 'members: the last admin is neither removed nor given another role',
    fault: 'gives it another role',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        setMember: async (membership, caller, notice) => {
          if (membership.role !== 'admin') await good.setMember(sampleMembership(99, { role: 'admin' }), caller);
          return good.setMember(membership, caller, notice);
        },
      })),
  },
  {
    promise: 'members: of all admins that go at one time one stays',
    fault: 'counts first and removes later',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        removeMember: async (id, email, notice, caller) => {
          const { items } = await good.listMembers(ACME_ID, ALL, caller);
          const others = items.some((member) => member.role === 'admin' && member.email !== email);
          if (!others) return 'last_admin';
          await good.setMember(sampleMembership(99, { role: 'admin' }), caller);
          return good.removeMember(id, email, notice, caller);
        },
      })),
  },
];
