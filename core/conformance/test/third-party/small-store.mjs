// A store as somebody outside could begin one: everything in the memory of one process and in one JSON file, which is written anew for
// every group of changes. Small rather than fast. It imports what is published, and nothing else.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { STORE_RECORD_KINDS, storeRecordFault } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { TowlineError } from '@towline/protocol';

const NO_HASH = '0'.repeat(64);
const copy = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
const fault = (code, message) => new TowlineError(code, message);

/** The data of a file, which all stores on it in this process share. */
const opened = new Map();

function openData(file) {
  const known = opened.get(file);
  if (known) return known;
  const data = { file, users: 0, saving: null, state: readState(file) };
  opened.set(file, data);
  return data;
}

function readState(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw fault('file_damaged', `${file} cannot be read.`);
    return emptyState();
  }
}

function emptyState() {
  return { last: 0, ...Object.fromEntries(STORE_RECORD_KINDS.map((kind) => [kind, []])) };
}

/** Resolves when everything up to now is on the disk. Calls of one turn share one writing. */
function save(data) {
  data.saving ??= new Promise((resolve, reject) => {
    setImmediate(() => {
      data.saving = null;
      try {
        const made = openSync(`${data.file}.new`, 'w', 0o600);
        writeSync(made, JSON.stringify(data.state));
        fsyncSync(made);
        closeSync(made);
        renameSync(`${data.file}.new`, data.file);
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
  return data.saving;
}

const sees = (caller, scope) => caller === SYSTEM_SCOPE || (scope !== undefined && caller.includes(scope));
const seesDevice = (caller, device) => sees(caller, device.owner) || device.shares.some(({ scope }) => sees(caller, scope));
const fits = (filter, item, names) => names.every((name) => filter[name] === undefined || filter[name] === item[name]);

function compare(one, other) {
  const at = one.findIndex((part, n) => part !== other[n]);
  return at < 0 ? 0 : one[at] < other[at] ? -1 : 1;
}

/** One page of a list: `keyOf` gives the parts by which it is ordered. */
function pageOf(list, items, keyOf, { limit, cursor }) {
  if (!Number.isInteger(limit) || limit < 1 || limit > 500) throw fault('invalid_request', 'The limit is a whole number from 1 to 500.');
  const after = cursor === undefined ? null : readCursor(list, cursor);
  const rest = items
    .map((item) => [keyOf(item), item])
    .filter(([key]) => after === null || compare(key, after) > 0)
    .sort(([one], [other]) => compare(one, other));
  const taken = rest.slice(0, limit);
  const next = rest.length > limit ? Buffer.from(JSON.stringify([list, ...taken.at(-1)[0]])).toString('base64url') : null;
  return { items: taken.map(([, item]) => copy(item)), next };
}

function readCursor(list, cursor) {
  try {
    const text = Buffer.from(cursor, 'base64url').toString('utf8');
    const [of, ...key] = JSON.parse(text);
    if (of === list && Buffer.from(text).toString('base64url') === cursor) return key;
  } catch {
    // Told below.
  }
  throw fault('invalid_request', 'The cursor is not one of this list.');
}

/** A store on a file. `dispose` closes it. */
export function openSmallStore(file) {
  const data = openData(file);
  data.users += 1;
  const all = (kind) => data.state[kind];
  const read = async (work) => copy(work()) ?? null;
  /** Work that fails must fail before it changes anything. */
  const change = async (work) => {
    const result = copy(work());
    await save(data);
    return result;
  };
  const byId = (kind, id) => all(kind).find((item) => item.id === id);
  const insert = (kind, item) => change(() => byId(kind, item.id) === undefined && all(kind).push(copy(item)) > 0);
  const remove = (kind, gone) => {
    const [before, left] = [all(kind), all(kind).filter((item) => !gone(item))];
    data.state[kind] = left;
    return before.length - left.length;
  };
  const revoke = (kind, id, notice) => {
    data.state.last += 1;
    const { at, code, message } = notice;
    all('revocation').push({ number: data.state.last, at, kind, id, code, message });
  };
  const parts = { data, all, read, change, byId, insert, remove, revoke };
  return {
    devices: devices(parts),
    registrations: registrations(parts),
    keys: keys(parts),
    users: users(parts),
    organisations: organisations(parts),
    secrets: secrets(parts),
    sessions: sessions(parts),
    audit: audit(parts),
    revocations: {
      last: () => read(() => data.state.last),
      listAfter: (number) =>
        read(() =>
          all('revocation')
            .filter((one) => one.number > number)
            .slice(0, 500),
        ),
      deleteBefore: (at) => change(() => remove('revocation', (one) => one.at < at)),
    },
    meta: {
      get: (name) => read(() => all('meta').find((one) => one.name === name)?.value),
      compareAndSet: (name, expected, value) =>
        change(() => {
          const present = all('meta').find((one) => one.name === name);
          if ((present?.value ?? null) !== expected) return false;
          remove('meta', (one) => one.name === name);
          return all('meta').push({ name, value }) > 0;
        }),
    },
    standing: (query) => read(() => standing(parts, query)),
    isScopeUsed: (scope) => read(() => isScopeUsed(parts, scope)),
    export: (signal) => exportAll(parts, signal),
    import: (records, signal) => importAll(parts, records, signal),
    ping: async () => undefined,
    dispose: async () => {
      await data.saving;
      data.users -= 1;
      if (data.users === 0) opened.delete(file);
    },
  };
}

function devices({ all, read, change, byId, insert, remove, revoke }) {
  const find = (id, caller) => all('device').find((device) => device.id === id && seesDevice(caller, device));
  return {
    get: (id, caller) => read(() => find(id, caller)),
    list: async ({ idPrefix = '', ...filter }, page, caller) => {
      const wanted = (device) => seesDevice(caller, device) && fits(filter, device, ['name', 'owner']) && device.id.startsWith(idPrefix);
      return pageOf('devices', all('device').filter(wanted), ({ id }) => [id], page);
    },
    insert: (device) => insert('device', { ...device, revision: 1 }),
    update: (id, { name, owner, shares, facts, publicKey, fingerprint }, revision, caller, notice) =>
      change(() => {
        const device = find(id, caller);
        if (!device) throw fault('not_found', 'No such device.');
        if (device.revision !== revision) throw fault('store_conflict', 'The device was changed in between.');
        Object.assign(device, copy({ name, owner, shares, facts, publicKey, fingerprint }), { revision: revision + 1 });
        if (owner !== undefined) moveBelongings(all, { id, owner });
        if (notice) revoke('access', id, notice);
        return device;
      }),
    listWithEndedShares: (now) =>
      read(() =>
        all('device')
          .filter(({ shares }) => shares.some(({ until }) => until !== undefined && until <= now))
          .slice(0, 100),
      ),
    touch: (id, { at, address }) => change(() => void Object.assign(byId('device', id) ?? {}, { lastSeenAt: at, lastAddress: address })),
    remove: (id, notice, caller) =>
      change(() => {
        if (!find(id, caller)) return false;
        remove('device', (device) => device.id === id);
        for (const key of all('key')) if (key.deviceId === id && key.revokedAt === undefined) markRevoked(key, notice.at, notice.code);
        revoke('device', id, notice);
        return true;
      }),
  };
}

/** What is listed under the owner of a device goes along with it. */
function moveBelongings(all, { id, owner }) {
  const own = (kind) => all(kind).filter(({ deviceId }) => deviceId === id);
  const waiting = own('registration').filter(({ state }) => state === 'pending');
  for (const one of [...own('key'), ...waiting]) Object.assign(one, { owner, revision: one.revision + 1 });
  for (const session of own('session')) session.owner = owner;
}

function registrations({ all, read, change, insert, remove }) {
  const waits = (one, now) => one.state === 'pending' && one.expiresAt > now;
  return {
    get: (id, caller) => read(() => all('registration').find((one) => one.id === id && sees(caller, one.owner))),
    findByDevice: (deviceId, now) =>
      read(() => {
        const found = all('registration').filter((one) => one.deviceId === deviceId && one.expiresAt > now);
        return found.sort((one, other) => one.createdAt - other.createdAt).at(-1);
      }),
    listPending: async ({ owner, now }, page, caller) => {
      const wanted = (one) => waits(one, now) && sees(caller, one.owner) && fits({ owner }, one, ['owner']);
      return pageOf('registrations', all('registration').filter(wanted), ({ createdAt, id }) => [createdAt, id], page);
    },
    countPending: (filter, now) =>
      read(() => all('registration').filter((one) => waits(one, now) && fits(filter, one, ['owner', 'address'])).length),
    insert: (registration) => insert('registration', { ...registration, revision: 1 }),
    decide: (id, { state, decidedAt, decidedBy, reason }, caller) =>
      change(() => {
        const found = all('registration').find((one) => one.id === id && sees(caller, one.owner));
        if (!found) throw fault('not_found', 'No such request.');
        if (found.state !== 'pending') return null;
        return Object.assign(found, copy({ state, decidedAt, decidedBy, reason }), { revision: found.revision + 1 });
      }),
    deleteExpired: (before) => change(() => remove('registration', (one) => one.expiresAt < before)),
    deleteForDevice: (deviceId) => change(() => void remove('registration', (one) => one.deviceId === deviceId)),
  };
}

function markRevoked(key, revokedAt, revokedReason) {
  Object.assign(key, copy({ revokedAt, revokedReason }), { revision: key.revision + 1 });
}

function keys({ all, read, change, byId, insert, revoke }) {
  return {
    get: (id, caller) => read(() => all('key').find((key) => key.id === id && sees(caller, key.owner))),
    list: async ({ includeRevoked = false, ...filter }, page, caller) => {
      const wanted = (key) => sees(caller, key.owner) && fits(filter, key, ['kind', 'deviceId', 'userId']);
      const found = all('key').filter((key) => wanted(key) && (includeRevoked || key.revokedAt === undefined));
      return pageOf('keys', found, ({ id }) => [id], page);
    },
    insert: (key) => insert('key', { ...key, revision: 1 }),
    touch: (id, at) =>
      change(() => {
        const key = byId('key', id);
        if (key) key.lastUsedAt = Math.max(at, key.lastUsedAt ?? 0);
      }),
    spend: (id) =>
      change(() => {
        const key = byId('key', id);
        if (key?.kind !== 'enrolment' || key.revokedAt !== undefined || key.remaining === 0) return false;
        if (key.remaining !== undefined) key.remaining -= 1;
        return true;
      }),
    revoke: (id, notice, caller) =>
      change(() => {
        const key = byId('key', id);
        if (!key || key.revokedAt !== undefined || !sees(caller, key.owner)) return false;
        markRevoked(key, notice.at, notice.code);
        revoke('key', id, notice);
        return true;
      }),
    revokeOlderOfDevice: (deviceId, keep, at) =>
      change(() => {
        const kept = byId('key', keep);
        const older = (key) => key.deviceId === deviceId && key.revokedAt === undefined && key.createdAt < kept?.createdAt;
        for (const key of all('key')) if (older(key)) markRevoked(key, at);
      }),
  };
}

function users({ all, read, change, byId, revoke }) {
  const told = ({ label, email, provider, claims }) => JSON.stringify([label, email, provider, claims]);
  return {
    get: (id) => read(() => byId('user', id)),
    list: async ({ email, disabled }, page) => {
      const wanted = (user) => disabled === undefined || disabled === (user.disabledAt !== undefined);
      const found = all('user').filter((user) => wanted(user) && fits({ email }, user, ['email']));
      return pageOf('users', found, ({ id }) => [id], page);
    },
    note: ({ at, ...login }) =>
      change(() => {
        const user = byId('user', login.id);
        if (!user) return all('user')[all('user').push(copy({ ...login, createdAt: at, lastSeenAt: at, revision: 1 })) - 1];
        const revision = user.revision + (told(user) === told(login) ? 0 : 1);
        if (login.email === undefined) delete user.email;
        return Object.assign(user, copy(login), { lastSeenAt: at, revision });
      }),
    disable: (id, by, notice) =>
      change(() => {
        const user = byId('user', id);
        if (!user || user.disabledAt !== undefined) return false;
        Object.assign(user, { disabledAt: notice.at, disabledBy: by, revision: user.revision + 1 });
        revoke('user', id, notice);
        return true;
      }),
    enable: (id) =>
      change(() => {
        const user = byId('user', id);
        if (user?.disabledAt === undefined) return false;
        delete user.disabledAt;
        delete user.disabledBy;
        user.revision += 1;
        return true;
      }),
  };
}

function organisations({ all, read, change, byId, insert, remove, revoke }) {
  const find = (id, caller) => (sees(caller, `org:${id}`) ? byId('organisation', id) : undefined);
  const live = (id, caller) => find(id, caller) !== undefined && find(id, caller).deletedAt === undefined;
  const member = (org, email) => all('membership').find((one) => one.org === org && one.email === email);
  const isLastAdmin = (one) =>
    one.role === 'admin' && all('membership').filter(({ org, role }) => org === one.org && role === 'admin').length === 1;
  return {
    get: (id, caller) => read(() => find(id, caller)),
    list: async (page, caller) =>
      pageOf(
        'organisations',
        all('organisation').filter(({ id }) => live(id, caller)),
        ({ id }) => [id],
        page,
      ),
    insert: (organisation) => insert('organisation', { ...organisation, revision: 1 }),
    delete: (id, notice, caller) =>
      change(() => {
        if (!live(id, caller)) return false;
        const organisation = byId('organisation', id);
        Object.assign(organisation, { deletedAt: notice.at, revision: organisation.revision + 1 });
        remove('membership', ({ org }) => org === id);
        remove('secret', ({ scope }) => scope === `org:${id}`);
        revoke('org', id, notice);
        return true;
      }),
    listMembers: async (id, page, caller) => {
      const found = all('membership').filter(({ org }) => org === id && sees(caller, `org:${id}`));
      return pageOf('members', found, ({ email }) => [email], page);
    },
    setMember: (membership, caller, notice) =>
      change(() => {
        if (!live(membership.org, caller)) return 'absent';
        const present = member(membership.org, membership.email);
        if (present && membership.role !== 'admin' && isLastAdmin(present)) return 'last_admin';
        if (present) present.role = membership.role;
        else all('membership').push(copy(membership));
        if (notice) revoke('membership', membership.email, notice);
        return 'done';
      }),
    removeMember: (id, email, notice, caller) =>
      change(() => {
        const present = live(id, caller) ? member(id, email) : undefined;
        if (!present) return 'absent';
        if (isLastAdmin(present)) return 'last_admin';
        remove('membership', (one) => one === present);
        revoke('membership', email, notice);
        return 'done';
      }),
  };
}

function secrets({ all, read, change, remove }) {
  const at = (scope, name) => all('secret').find((one) => one.scope === scope && one.name === name);
  const find = (scope, name, caller) => (sees(caller, scope) ? at(scope, name) : undefined);
  const list = async (filter, page, caller) => {
    const found = all('secret').filter((one) => sees(caller, one.scope) && fits(filter, one, ['scope']));
    return pageOf('secrets', found, ({ scope, name }) => [scope, name], page);
  };
  return {
    get: (scope, name, caller) => read(() => find(scope, name, caller)),
    list,
    listEntries: async (...args) => {
      const { items, next } = await list(...args);
      return { items: items.map(({ sealed: _value, ...entry }) => entry), next };
    },
    insert: (secret) =>
      change(() => at(secret.scope, secret.name) === undefined && all('secret').push({ ...copy(secret), revision: 1 }) > 0),
    update: (scope, name, { sealed, keyId, updatedAt, updatedBy }, revision, caller) =>
      change(() => {
        const secret = find(scope, name, caller);
        if (!secret) throw fault('not_found', 'No such secret.');
        if (secret.revision !== revision) throw fault('store_conflict', 'The secret was changed in between.');
        return Object.assign(secret, copy({ sealed, keyId, updatedAt, updatedBy }), { revision: revision + 1 });
      }),
    remove: (scope, name, caller) =>
      change(() => sees(caller, scope) && remove('secret', (one) => one.scope === scope && one.name === name) > 0),
    count: (scope) => read(() => all('secret').filter((one) => one.scope === scope).length),
    listNotUnder: (keyId) =>
      read(() =>
        all('secret')
          .filter((one) => one.keyId !== keyId)
          .slice(0, 100),
      ),
  };
}

function sessions({ all, read, change, byId, insert, remove }) {
  const visible = (session, caller) => {
    const device = byId('device', session.deviceId);
    return sees(caller, session.owner) || (device !== undefined && seesDevice(caller, device));
  };
  return {
    insert: (session) => insert('session', session),
    get: (id, caller) => read(() => all('session').find((session) => session.id === id && visible(session, caller))),
    list: async (filter, page, caller) => {
      const found = all('session').filter((session) => visible(session, caller) && fits(filter, session, ['deviceId']));
      return pageOf('sessions', found, ({ id }) => [id], page);
    },
    remove: (id) => change(() => remove('session', (session) => session.id === id) > 0),
  };
}

/** Why records do not go on after a head; null: they do. */
function breakInChain(head, records) {
  let { number, hash } = head ?? { number: 0, hash: NO_HASH };
  for (const record of records) {
    if (record.number !== number + 1) return `record ${record.number} does not follow ${number}`;
    if (record.previousHash !== hash) return `record ${record.number} names another hash than that of the one before`;
    ({ number, hash } = record);
  }
  return null;
}

function audit({ all, read, change }) {
  const head = () => all('audit').at(-1);
  return {
    head: () => read(() => head() && { number: head().number, hash: head().hash }),
    append: (records) =>
      change(() => {
        const broken = breakInChain(head(), records);
        if (broken !== null) throw fault('store_conflict', broken);
        all('audit').push(...copy(records));
      }),
    list: async ({ deviceId, session, actor, action, since = -Infinity, until = Infinity }, order, page, caller) => {
      const wanted = (one) =>
        sees(caller, one.owner) &&
        fits({ deviceId, session }, { deviceId: one.device?.id, session: one.session }, ['deviceId', 'session']) &&
        (actor === undefined || one.actor.id === actor || one.actor.email === actor) &&
        (action === undefined || one.action === action || (action !== '' && one.action.startsWith(`${action}.`))) &&
        since <= one.at &&
        one.at < until;
      const sign = order === 'ascending' ? 1 : -1;
      return pageOf(`audit ${order}`, all('audit').filter(wanted), ({ number }) => [sign * number], page);
    },
  };
}

function standing({ all, byId }, { userId, email, ofUser, keyId, orgs }) {
  const user = byId('user', userId) ?? null;
  const address = ofUser ? user?.email : email;
  const claimed = ofUser ? (user?.claims ?? []).map(({ scope }) => scope.replace(/^org:/, '')) : [];
  const isDeleted = (id) => byId('organisation', id)?.deletedAt !== undefined;
  return {
    user,
    key: byId('key', keyId) ?? null,
    memberships: all('membership')
      .filter((one) => address !== undefined && one.email === address)
      .map(({ org, role }) => ({ org, role })),
    deletedOrgs: [...new Set([...orgs, ...claimed])].filter(isDeleted).sort(),
  };
}

function isScopeUsed({ all }, scope) {
  const owns = (one) => one.owner === scope;
  const names = (given) => given.some((one) => one.scope === scope);
  return (
    all('device').some((device) => owns(device) || names(device.shares)) ||
    all('key').some((key) => owns(key) || names(key.scopes)) ||
    all('registration').some(owns) ||
    all('secret').some((one) => one.scope === scope)
  );
}

async function* exportAll({ data }, signal) {
  signal.throwIfAborted();
  const state = copy(data.state);
  for (const kind of STORE_RECORD_KINDS) {
    for (const value of state[kind]) {
      signal.throwIfAborted();
      yield { kind, value };
    }
  }
}

async function importAll({ data }, records, signal) {
  const isEmpty = () => STORE_RECORD_KINDS.every((kind) => data.state[kind].length === 0);
  const refuse = () => fault('conflict', 'The store is not empty.');
  if (!isEmpty()) throw refuse();
  const state = emptyState();
  const aborted = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
  const source = records[Symbol.asyncIterator]();
  for (let number = 1; ; number += 1) {
    signal.throwIfAborted();
    const { done, value } = await Promise.race([source.next(), aborted]);
    if (done) break;
    const wrong = storeRecordFault(value) ?? add(state, value);
    if (wrong !== null) throw fault('invalid_request', `Record ${number} does not fit: ${wrong}.`);
  }
  if (!isEmpty()) throw refuse();
  data.state = state;
  await save(data);
}

/** Adds a record; answers why it does not fit. */
function add(state, { kind, value }) {
  if (kind === 'audit') {
    const broken = breakInChain(state.audit.at(-1), [value]);
    if (broken !== null) return broken;
  }
  if (kind === 'membership' && state.organisation.find(({ id }) => id === value.org)?.deletedAt !== undefined)
    return 'it has no organisation';
  const keyOf = (one) => JSON.stringify([one.number ?? one.id ?? [one.scope, one.org, one.email, one.name]]);
  if (state[kind].some((one) => keyOf(one) === keyOf(value))) return 'there is one already';
  if (kind === 'revocation') state.last = Math.max(state.last, value.number);
  state[kind].push(copy(value));
  return null;
}
