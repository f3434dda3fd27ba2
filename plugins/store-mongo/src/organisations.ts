import type { Caller, Membership, MembershipOutcome, RevocationNotice, Store } from '@towline/contract';
import type { OrgId } from '@towline/protocol';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { AFTER, entryOf, inTurn, settle } from './outbox.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { byAddress, type Member, organisationShape, type Stored } from './shapes.ts';
import { allOf, type Condition, organisationsOf } from './visibility.ts';

const LIST = 'organisations';
const LIVE = { deletedAt: { $exists: false } };

type Organisations = Store['organisations'];

/** Organisations, one document each, with the members inside: so one write decides who the last admin is. */
export function organisationRepository(database: Database): Organisations {
  const { organisations } = database;
  return {
    get: async (id, caller) => {
      const found = await organisations.findOne(place(id, caller));
      return found && organisationShape.fromDocument(found);
    },
    list: async (page, caller) => {
      const [after] = startOf(LIST, page) ?? [];
      const conditions = allOf(organisationsOf(caller), LIVE);
      const found = await findById(organisations, conditions, { after: after as string | undefined, limit: page.limit });
      return cutPage(LIST, found.map(organisationShape.fromDocument), page.limit, ({ id }) => [id]);
    },
    insert: (organisation) => {
      const document = { ...organisationShape.toDocument({ ...organisation, revision: 1 }), members: [], version: 1 };
      return isInserted(organisations.insertOne(document));
    },
    delete: (id, notice, caller) => inTurn(database, 'organisations', id, () => remove(database, { id, caller }, notice)),
    listMembers: listMembers(database),
    setMember: (membership, caller, notice) =>
      changeMembers(database, { id: membership.org, email: membership.email, caller }, notice, (members) =>
        withMember(members, membership),
      ),
    removeMember: (id, email, notice, caller) =>
      changeMembers(database, { id, email, caller }, notice, (members) => withoutMember(members, email)),
  };
}

/** Memberships of an address in organisations that are not deleted. Only the member asked for leaves the database. */
export async function membershipsOf({ organisations }: Database, email: string): Promise<Pick<Membership, 'org' | 'role'>[]> {
  const found = await organisations
    .aggregate<{ readonly _id: string; readonly members: Member }>([
      { $match: { 'members.email': email, ...LIVE } },
      { $unwind: '$members' },
      { $match: { 'members.email': email } },
      { $sort: { _id: 1 } },
    ])
    .toArray();
  return found.map(({ _id, members }) => ({ org: _id as OrgId, role: members.role }));
}

function place(id: string, caller: Caller): Condition {
  return allOf({ _id: id }, organisationsOf(caller));
}

function listMembers({ organisations }: Database): Organisations['listMembers'] {
  return async (id, page, caller) => {
    // The cursors of one organisation are none of another.
    const list = `organisations.members ${id}`;
    const [after] = startOf(list, page) ?? [];
    const found = await organisations.findOne(place(id, caller));
    const isBehind = ({ email }: Member) => after === undefined || Buffer.compare(Buffer.from(email), Buffer.from(after as string)) > 0;
    const items = byAddress(membersOf(found))
      .filter(isBehind)
      .slice(0, page.limit + 1);
    return cutPage<Membership>(
      list,
      items.map(({ email, role, addedAt, addedBy }) => ({ org: id, email, role, addedAt, addedBy })),
      page.limit,
      ({ email }) => [email],
    );
  };
}

interface Change {
  readonly id: string;
  readonly email: string;
  readonly caller: Caller;
}

/** Changes the members it has read; when they were changed in between, it begins anew. */
function changeMembers(
  database: Database,
  { id, email, caller }: Change,
  notice: RevocationNotice | undefined,
  change: (members: readonly Member[]) => readonly Member[] | Exclude<MembershipOutcome, 'done'>,
): Promise<MembershipOutcome> {
  return inTurn(database, 'organisations', id, async () => {
    for (;;) {
      const present = await database.organisations.findOne(allOf(place(id, caller), LIVE));
      if (!present) return 'absent';
      const members = change(membersOf(present));
      if (typeof members === 'string') return members;
      const changed = await database.organisations.updateOne({ _id: id, version: present.version as number }, {
        $set: { members },
        $inc: { version: 1 },
        ...(notice && { $push: { outbox: entryOf({ kind: 'membership', id: email }, notice) } }),
      } as object);
      if (changed.matchedCount === 0) continue;
      if (notice) await settle(database, 'organisations', id);
      return 'done';
    }
  });
}

function withMember(members: readonly Member[], { email, role, addedAt, addedBy }: Membership): readonly Member[] | 'last_admin' {
  if (role !== 'admin' && isLastAdmin(members, email)) return 'last_admin';
  if (!members.some((member) => member.email === email)) return [...members, { email, role, addedAt, addedBy }];
  return members.map((member) => (member.email === email ? { ...member, role } : member));
}

function withoutMember(members: readonly Member[], email: string): readonly Member[] | 'absent' | 'last_admin' {
  if (!members.some((member) => member.email === email)) return 'absent';
  if (isLastAdmin(members, email)) return 'last_admin';
  return members.filter((member) => member.email !== email);
}

function isLastAdmin(members: readonly Member[], email: string): boolean {
  const admins = members.filter(({ role }) => role === 'admin');
  return admins.length === 1 && admins[0]!.email === email;
}

async function remove(
  database: Database,
  { id, caller }: { readonly id: string; readonly caller: Caller },
  notice: RevocationNotice,
): Promise<boolean> {
  const deleted = await database.organisations.findOneAndUpdate(
    allOf(place(id, caller), LIVE),
    {
      $set: { deletedAt: notice.at, members: [] },
      $inc: { revision: 1, version: 1 },
      $push: { outbox: entryOf({ kind: 'org', id }, notice, 'forget') },
    } as object,
    AFTER,
  );
  if (!deleted) return false;
  await settle(database, 'organisations', id, deleted);
  return true;
}

function membersOf(document: Stored | null): readonly Member[] {
  return (document?.members ?? []) as readonly Member[];
}
