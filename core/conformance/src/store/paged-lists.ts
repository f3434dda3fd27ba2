import type { Device, Page, PageRequest, Store } from '@towline/contract';
import type { OrgId } from '@towline/protocol';
import {
  ACME,
  ACME_ID,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  plain,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRecords,
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
} from './samples.ts';

/** A list of the contract, in a form that lets one check serve all of them. */
export interface PagedList {
  readonly name: string;
  /** Adds items by their place in the list. Lists that only grow take the places 1, 2, 3, … */
  add(store: Store, places: readonly number[]): Promise<void>;
  /** Takes an item out of the list; absent where none can be. */
  readonly remove?: (store: Store, place: number) => Promise<unknown>;
  list(store: Store, page: PageRequest): Promise<Page<unknown>>;
  /** Place of an item that the list handed out. */
  placeOf(item: never): number;
}

const GONE = { at: NOON, code: 'gone', message: 'gone' };
const placeOfId = ({ id }: { readonly id: string }) => Number.parseInt(id, 16);

const orgIdOf = (n: number) => `org-${n.toString().padStart(8, '0')}` as OrgId;
const placeOfNumber = (text: string) => Number(/\d{8}/.exec(text)![0]);
/** Holds the first forty organisations. */
const ORG_SCOPES = Array.from({ length: 40 }, (_, n) => `org:${orgIdOf(n)}` as typeof ACME);

/** One for every four secrets, so that a page ends within a scope and goes over several; not in their order. */
const SECRET_SCOPES = [2, 0, 3, 1, 4].map((n) => `org:scope-${n}` as typeof ACME);
const placedSecret = (n: number) => sampleSecret(n, { scope: `org:scope-${Math.floor(n / 4)}` as typeof ACME });

/** Every list of the contract. */
export const PAGED_LISTS: readonly PagedList[] = [
  {
    name: 'devices',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.devices.insert(sampleDevice(n))))),
    remove: (store, n) => store.devices.remove(idOf(n), GONE, [ADA]),
    list: (store, page) => store.devices.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'registrations',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.registrations.insert(sampleRegistration(n))))),
    remove: (store, n) => store.registrations.decide(idOf(n), { state: 'rejected', decidedAt: NOON, decidedBy: 'ada' }, [ADA]),
    list: (store, page) => store.registrations.listPending({ now: NOON }, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'keys',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.keys.insert(sampleKey(n))))),
    remove: (store, n) => store.keys.revoke(keyIdOf(n), GONE, [ADA]),
    list: (store, page) => store.keys.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'sessions',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.sessions.insert(sampleSession(n))))),
    remove: (store, n) => store.sessions.remove(idOf(n)),
    list: (store, page) => store.sessions.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'users',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.users.note(sampleLogin(n))))),
    remove: (store, n) => store.users.disable(sampleLogin(n).id, 'ada', GONE),
    list: (store, page) => store.users.list({ disabled: false }, page),
    placeOf: ({ id }: { readonly id: string }) => placeOfNumber(id),
  },
  {
    name: 'organisations',
    add: async (store, places) =>
      void (await Promise.all(places.map((n) => store.organisations.insert(sampleOrganisation({ id: orgIdOf(n) }))))),
    remove: (store, n) => store.organisations.delete(orgIdOf(n), GONE, ORG_SCOPES),
    list: (store, page) => store.organisations.list(page, ORG_SCOPES),
    placeOf: ({ id }: { readonly id: string }) => placeOfNumber(id),
  },
  {
    name: 'members',
    add: async (store, places) => {
      await store.organisations.insert(sampleOrganisation());
      await Promise.all(places.map((n) => store.organisations.setMember(sampleMembership(n), [ACME])));
    },
    remove: (store, n) => store.organisations.removeMember(ACME_ID, sampleMembership(n).email, GONE, [ACME]),
    list: (store, page) => store.organisations.listMembers(ACME_ID, page, [ACME]),
    placeOf: ({ email }: { readonly email: string }) => placeOfNumber(email),
  },
  {
    name: 'secrets',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.secrets.insert(placedSecret(n))))),
    remove: (store, n) => store.secrets.remove(placedSecret(n).scope, placedSecret(n).name, SECRET_SCOPES),
    list: (store, page) => store.secrets.list({}, page, SECRET_SCOPES),
    placeOf: ({ name }: { readonly name: string }) => placeOfNumber(name),
  },
  auditList('audit, oldest first', 'ascending'),
  auditList('audit, newest first', 'descending'),
];

/** Lists of {@link PAGED_LISTS} again, of a part of what there is, and of things that are reached by their owner, by shares, and by several of these. */
export const SHARED_LISTS: readonly PagedList[] = [
  {
    name: 'secrets of one scope',
    add: async (store, places) =>
      void (await Promise.all(places.flatMap((n) => [ADA, ACME, BOB].map((scope) => addSecret(store, n, scope))))),
    remove: (store, n) => store.secrets.remove(ADA, sampleSecret(n).name, [ADA]),
    list: (store, page) => store.secrets.list({ scope: ADA }, page, [BOB, ADA, ACME]),
    placeOf: ({ name }: { readonly name: string }) => placeOfNumber(name),
  },
  {
    name: 'entries of secrets',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.secrets.insert(placedSecret(n))))),
    remove: (store, n) => store.secrets.remove(placedSecret(n).scope, placedSecret(n).name, SECRET_SCOPES),
    list: (store, page) => store.secrets.listEntries({}, page, SECRET_SCOPES),
    placeOf: ({ name }: { readonly name: string }) => placeOfNumber(name),
  },
  {
    name: 'devices by owner and shares',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.devices.insert(reachableDevice(n))))),
    remove: (store, n) => store.devices.remove(idOf(n), GONE, [ADA, BOB]),
    list: (store, page) => store.devices.list({}, page, [BOB, ACME]),
    placeOf: placeOfId,
  },
  {
    name: 'sessions by owner and shares',
    add: async (store, places) => {
      for (const n of places) {
        const { id, owner } = reachableDevice(n % 3);
        await store.devices.insert(reachableDevice(n % 3));
        await store.sessions.insert(sampleSession(n, { deviceId: id, owner }));
      }
    },
    remove: (store, n) => store.sessions.remove(idOf(n)),
    list: (store, page) => store.sessions.list({}, page, [BOB, ACME]),
    placeOf: placeOfId,
  },
];

function addSecret(store: Store, n: number, scope: typeof ACME): Promise<boolean> {
  return store.secrets.insert(sampleSecret(n, { scope }));
}

/** Reached by Bob and Acme: by the owner and a share, by two shares, or by one. */
function reachableDevice(n: number): Device {
  if (n % 3 === 0) return sampleDevice(n, { owner: BOB, shares: [sampleShare(ACME)] });
  return sampleDevice(n, { shares: n % 3 === 1 ? [sampleShare(ACME), sampleShare(BOB)] : [sampleShare(ACME)] });
}

function auditList(name: string, order: 'ascending' | 'descending'): PagedList {
  return {
    name,
    add: async (store, places) => store.audit.append(sampleRecords(plain(places.length), await store.audit.head())),
    list: (store, page) => store.audit.list({}, order, page, [ADA]),
    placeOf: ({ number }: { readonly number: number }) => number,
  };
}
