import type { Membership, MembershipOutcome, Organisation, Page, PageRequest, RevocationNotice } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { changeRole, listMembers, removeMember, removeMembers } from './memberships.ts';
import { fetchPage } from './page-query.ts';
import { appendRevocation } from './revocations.ts';
import { removeSecretsOf } from './secrets.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { organisationCaller, scopeOfOrganisation, visibleTo } from './visibility.ts';

/** Rows of organisations. */
export const organisationTable = new Table<Organisation>('organisation', {
  id: 'text',
  name: 'text',
  createdAt: 'integer',
  createdBy: 'text',
  deletedAt: 'integer',
  revision: 'integer',
});

/** Look-ups of organisations and of who belongs to them. */
export function organisationReads(statements: Statements) {
  return {
    'organisations.get': (id: string, caller: WireCaller): Organisation | null => find(statements, id, caller),

    'organisations.list': (page: PageRequest, caller: WireCaller): Page<Organisation> => {
      const base = { list: 'organisations', table: organisationTable.name, columns: organisationTable.columns, id: 'id', order: ['id'] };
      const visible = organisationCaller(caller);
      const keys = visible === 'system' ? [] : [{ column: 'id', values: visible }];
      const conditions = [{ sql: 'i.deleted_at IS NULL', values: [] }];
      const { items, next } = fetchPage(statements, { ...base, keys, conditions }, page);
      return { items: items.map((row) => organisationTable.fromRow(row)), next };
    },

    'organisations.listMembers': (id: string, page: PageRequest, caller: WireCaller): Page<Membership> =>
      listMembers(statements, { org: id, visible: visibleTo(organisationCaller(caller), '+i.org') }, page),
  };
}

/** Changes of organisations and of who belongs to them. */
export function organisationWrites(statements: Statements) {
  return {
    // The row of one that was deleted is still there.
    'organisations.insert': (organisation: Organisation): boolean => organisationTable.insert(statements, { ...organisation, revision: 1 }),

    'organisations.delete': (id: string, notice: RevocationNotice, caller: WireCaller): boolean => {
      if (!isLive(statements, id, caller)) return false;
      statements.run('UPDATE organisation SET deleted_at = ?, revision = revision + 1 WHERE id = ?', notice.at, id);
      removeMembers(statements, id);
      removeSecretsOf(statements, scopeOfOrganisation(id));
      appendRevocation(statements, { ...notice, kind: 'org', id });
      return true;
    },

    'organisations.setMember': (membership: Membership, caller: WireCaller, notice?: RevocationNotice): MembershipOutcome => {
      if (!isLive(statements, membership.org, caller)) return 'absent';
      const outcome = changeRole(statements, membership);
      if (outcome === 'done' && notice) appendRevocation(statements, { ...notice, kind: 'membership', id: membership.email });
      return outcome;
    },

    'organisations.removeMember': (
      of: Pick<Membership, 'org' | 'email'>,
      notice: RevocationNotice,
      caller: WireCaller,
    ): MembershipOutcome => {
      if (!isLive(statements, of.org, caller)) return 'absent';
      const outcome = removeMember(statements, of);
      if (outcome === 'done') appendRevocation(statements, { ...notice, kind: 'membership', id: of.email });
      return outcome;
    },
  };
}

function find(statements: Statements, id: string, caller: WireCaller): Organisation | null {
  const visible = visibleTo(organisationCaller(caller), 'id');
  const row = statements.get(
    `SELECT ${organisationTable.columnList} FROM organisation WHERE id = ? AND ${visible.sql}`,
    id,
    ...visible.values,
  );
  return row ? organisationTable.fromRow(row) : null;
}

function isLive(statements: Statements, id: string, caller: WireCaller): boolean {
  const present = find(statements, id, caller);
  return present !== null && present.deletedAt === undefined;
}
