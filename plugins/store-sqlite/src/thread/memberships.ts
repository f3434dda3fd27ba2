import type { Membership, MembershipOutcome, Page, PageRequest, Role } from '@towline/contract';
import { fetchPage } from './page-query.ts';
import type { Row, Statements } from './statements.ts';
import type { Condition } from './visibility.ts';

type Place = Pick<Membership, 'org' | 'email'>;

/** A page of the members of an organisation, in the order of their addresses. */
export function listMembers(
  statements: Statements,
  { org, visible }: { readonly org: string; readonly visible: Condition },
  page: PageRequest,
): Page<Membership> {
  const { items, next } = fetchPage(
    statements,
    {
      // The cursors of one organisation are none of another.
      list: `organisations.members ${org}`,
      table: 'membership',
      columns: ['org', 'email', 'role', 'added_at', 'added_by'],
      id: 'email',
      order: ['email'],
      keys: [],
      conditions: [{ sql: 'i.org = ?', values: [org] }, visible],
    },
    page,
  );
  return { items: items.map(fromRow), next };
}

/** Memberships of an address in organisations that are not deleted. */
export function membershipsOf(statements: Statements, email: string): Pick<Membership, 'org' | 'role'>[] {
  return statements.all(
    `SELECT membership.org, membership.role FROM membership
     WHERE membership.email = ?
       AND EXISTS (SELECT 1 FROM organisation WHERE organisation.id = membership.org AND organisation.deleted_at IS NULL)
     ORDER BY membership.org`,
    email,
  ) as unknown as Pick<Membership, 'org' | 'role'>[];
}

/** Adds a member or changes the role. Part of a larger change. */
export function changeRole(statements: Statements, { org, email, role, addedAt, addedBy }: Membership): MembershipOutcome {
  if (role !== 'admin' && isLastAdmin(statements, { org, email })) return 'last_admin';
  statements.run(
    `INSERT INTO membership (org, email, role, added_at, added_by) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (org, email) DO UPDATE SET role = excluded.role`,
    ...[org, email, role, addedAt, addedBy],
  );
  return 'done';
}

/** Removes a member. Part of a larger change. */
export function removeMember(statements: Statements, of: Place): MembershipOutcome {
  if (roleOf(statements, of) === null) return 'absent';
  if (isLastAdmin(statements, of)) return 'last_admin';
  statements.run('DELETE FROM membership WHERE org = ? AND email = ?', of.org, of.email);
  return 'done';
}

/** Removes all members of an organisation that is deleted. Part of a larger change. */
export function removeMembers(statements: Statements, org: string): void {
  statements.run('DELETE FROM membership WHERE org = ?', org);
}

function roleOf(statements: Statements, { org, email }: Place): Role | null {
  return (statements.get('SELECT role FROM membership WHERE org = ? AND email = ?', org, email)?.role as Role | undefined) ?? null;
}

function isLastAdmin(statements: Statements, of: Place): boolean {
  if (roleOf(statements, of) !== 'admin') return false;
  const other = statements.get(`SELECT 1 FROM membership WHERE org = ? AND role = 'admin' AND email <> ? LIMIT 1`, of.org, of.email);
  return other === undefined;
}

/** The membership a row stands for. */
export function fromRow({ org, email, role, added_at, added_by }: Row): Membership {
  return { org, email, role, addedAt: added_at, addedBy: added_by } as unknown as Membership;
}
