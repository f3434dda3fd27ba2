import type { AuditRecord, Page, Store } from '@towline/contract';
import type { ReadOperations, WriteOperations } from './thread/operations.ts';
import { encodeCaller } from './wire-caller.ts';

/** The repositories of a store. */
export type Repositories = Omit<Store, 'ping' | 'export' | 'import' | 'backup' | 'scrub'>;

/** How calls reach the threads. */
export interface Threads {
  read(operation: string, args: readonly unknown[]): Promise<unknown>;
  write(operation: string, args: readonly unknown[]): Promise<unknown>;
}

type Call<Operations> = <Name extends keyof Operations & string>(
  name: Name,
  ...args: Operations[Name] extends (...args: infer Args) => unknown ? Args : never
) => Promise<Operations[Name] extends (...args: never) => infer Value ? Value : never>;

interface Calls {
  readonly read: Call<ReadOperations>;
  readonly write: Call<WriteOperations>;
}

/** The repositories by calls to the threads. Names and types of the calls are checked against the operations there. */
export function createRepositories(threads: Threads): Repositories {
  const calls: Calls = {
    read: async (name, ...args) => (await threads.read(name, args)) as never,
    write: async (name, ...args) => (await threads.write(name, args)) as never,
  };
  return {
    devices: deviceRepository(calls),
    registrations: registrationRepository(calls),
    keys: keyRepository(calls),
    users: userRepository(calls),
    organisations: organisationRepository(calls),
    secrets: secretRepository(calls),
    sessions: sessionRepository(calls),
    audit: auditRepository(calls),
    revocations: revocationRepository(calls),
    meta: metaRepository(calls),
    standing: (query) => calls.read('standing', query),
    isScopeUsed: (scope) => calls.read('isScopeUsed', scope),
  };
}

function deviceRepository({ read, write }: Calls): Store['devices'] {
  return {
    get: async (id, caller) => read('devices.get', id, encodeCaller(caller)),
    list: async (filter, page, caller) => read('devices.list', filter, page, encodeCaller(caller)),
    insert: (device) => write('devices.insert', device),
    update: async (id, change, revision, caller, notice) => write('devices.update', { id, revision }, change, encodeCaller(caller), notice),
    listWithEndedShares: (now) => read('devices.listWithEndedShares', now),
    touch: (id, seen) => write('devices.touch', id, seen),
    remove: async (id, revocation, caller) => write('devices.remove', id, revocation, encodeCaller(caller)),
  };
}

function registrationRepository({ read, write }: Calls): Store['registrations'] {
  return {
    get: async (id, caller) => read('registrations.get', id, encodeCaller(caller)),
    findByDevice: (deviceId, now) => read('registrations.findByDevice', deviceId, now),
    listPending: async (filter, page, caller) => read('registrations.listPending', filter, page, encodeCaller(caller)),
    countPending: (filter, now) => read('registrations.countPending', filter, now),
    insert: (registration) => write('registrations.insert', registration),
    decide: async (id, decision, caller) => write('registrations.decide', id, decision, encodeCaller(caller)),
    deleteExpired: (before) => write('registrations.deleteExpired', before),
    deleteForDevice: (deviceId) => write('registrations.deleteForDevice', deviceId),
  };
}

function keyRepository({ read, write }: Calls): Store['keys'] {
  return {
    get: async (id, caller) => read('keys.get', id, encodeCaller(caller)),
    list: async (filter, page, caller) => read('keys.list', filter, page, encodeCaller(caller)),
    insert: (key) => write('keys.insert', key),
    touch: (id, at) => write('keys.touch', id, at),
    spend: (id) => write('keys.spend', id),
    revoke: async (id, revocation, caller) => write('keys.revoke', id, revocation, encodeCaller(caller)),
    revokeOlderOfDevice: (deviceId, keep, at) => write('keys.revokeOlderOfDevice', deviceId, keep, at),
  };
}

function userRepository({ read, write }: Calls): Store['users'] {
  return {
    get: (id) => read('users.get', id),
    list: (filter, page) => read('users.list', filter, page),
    note: (login) => write('users.note', login),
    disable: (id, by, notice) => write('users.disable', id, by, notice),
    enable: (id) => write('users.enable', id),
  };
}

function organisationRepository({ read, write }: Calls): Store['organisations'] {
  return {
    get: async (id, caller) => read('organisations.get', id, encodeCaller(caller)),
    list: async (page, caller) => read('organisations.list', page, encodeCaller(caller)),
    insert: (organisation) => write('organisations.insert', organisation),
    delete: async (id, notice, caller) => write('organisations.delete', id, notice, encodeCaller(caller)),
    listMembers: async (id, page, caller) => read('organisations.listMembers', id, page, encodeCaller(caller)),
    setMember: async (membership, caller, notice) => write('organisations.setMember', membership, encodeCaller(caller), notice),
    removeMember: async (id, email, notice, caller) =>
      write('organisations.removeMember', { org: id, email }, notice, encodeCaller(caller)),
  };
}

function secretRepository({ read, write }: Calls): Store['secrets'] {
  return {
    get: async (scope, name, caller) => read('secrets.get', { scope, name }, encodeCaller(caller)),
    list: async (filter, page, caller) => read('secrets.list', filter, page, encodeCaller(caller)),
    listEntries: async (filter, page, caller) => read('secrets.listEntries', filter, page, encodeCaller(caller)),
    insert: (secret) => write('secrets.insert', secret),
    update: async (scope, name, change, revision, caller) =>
      write('secrets.update', { scope, name, revision }, change, encodeCaller(caller)),
    remove: async (scope, name, caller) => write('secrets.remove', { scope, name }, encodeCaller(caller)),
    count: (scope) => read('secrets.count', scope),
    listNotUnder: (keyId) => read('secrets.listNotUnder', keyId),
  };
}

function sessionRepository({ read, write }: Calls): Store['sessions'] {
  return {
    insert: (session) => write('sessions.insert', session),
    get: async (id, caller) => read('sessions.get', id, encodeCaller(caller)),
    list: async (filter, page, caller) => read('sessions.list', filter, page, encodeCaller(caller)),
    remove: (id) => write('sessions.remove', id),
  };
}

/** Audit records cross the threads as the JSON they are stored as: cheaper than copies, and kept to the letter. */
function auditRepository({ read, write }: Calls): Store['audit'] {
  return {
    head: () => read('audit.head'),
    append: async (records) =>
      write(
        'audit.append',
        records.map((record) => JSON.stringify(record)),
      ),
    list: async (filter, order, page, caller): Promise<Page<AuditRecord>> => {
      const { items, next } = await read('audit.list', filter, { order, ...page }, encodeCaller(caller));
      return { items: items.map((text) => JSON.parse(text) as AuditRecord), next };
    },
  };
}

function revocationRepository({ read, write }: Calls): Store['revocations'] {
  return {
    last: () => read('revocations.last'),
    listAfter: (number) => read('revocations.listAfter', number),
    deleteBefore: (at) => write('revocations.deleteBefore', at),
  };
}

function metaRepository({ read, write }: Calls): Store['meta'] {
  return {
    get: (name) => read('meta.get', name),
    compareAndSet: (name, expected, value) => write('meta.compareAndSet', name, expected, value),
  };
}
