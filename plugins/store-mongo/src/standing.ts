import type { Standing, StandingQuery, Store } from '@towline/contract';
import type { OrgId, Scope } from '@towline/protocol';
import type { Database } from './database.ts';
import { membershipsOf } from './organisations.ts';
import { keyShape, userShape } from './shapes.ts';
import { organisationsAmong } from './visibility.ts';

/** Look-ups over several collections. Those that do not need each other's answer are made at one time. */
export function standingReads(database: Database): Pick<Store, 'standing' | 'isScopeUsed'> {
  return { standing: (query) => standing(database, query), isScopeUsed: (scope) => isScopeUsed(database, scope) };
}

async function standing(database: Database, { userId, email, ofUser, keyId, orgs }: StandingQuery): Promise<Standing> {
  const finding = database.users.findOne({ _id: userId });
  const findingKey = keyId === undefined ? null : database.keys.findOne({ _id: keyId });
  // Of a bounded credential the record of the user names the address and the organisations.
  const known = ofUser ? await finding : null;
  const address = ofUser ? (known?.email as string | undefined) : email;
  const claimed = ((known?.claims ?? []) as readonly { readonly scope: Scope }[]).map(({ scope }) => scope);
  const [user, key, memberships, deletedOrgs] = await Promise.all([
    finding,
    findingKey,
    address === undefined ? [] : membershipsOf(database, address),
    deletedAmong(database, [...orgs, ...organisationsAmong(claimed)]),
  ]);
  return { user: user && userShape.fromDocument(user), key: key && keyShape.fromDocument(key), memberships, deletedOrgs };
}

async function deletedAmong({ organisations }: Database, ids: readonly string[]): Promise<OrgId[]> {
  if (ids.length === 0) return [];
  const deleted = organisations.find({ _id: { $in: [...new Set(ids)] }, deletedAt: { $exists: true } }).sort({ _id: 1 });
  return (await deleted.project({ _id: 1 }).toArray()).map(({ _id }) => _id as OrgId);
}

async function isScopeUsed({ devices, keys, registrations, secrets }: Database, scope: string): Promise<boolean> {
  const found = await Promise.all([
    devices.findOne({ owner: scope }),
    devices.findOne({ 'shares.scope': scope }),
    keys.findOne({ owner: scope }),
    keys.findOne({ 'scopes.scope': scope }),
    registrations.findOne({ owner: scope }),
    secrets.findOne({ scope }),
  ]);
  return found.some((one) => one !== null);
}
