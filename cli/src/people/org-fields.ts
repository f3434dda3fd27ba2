import type { MemberView, OrgView } from '@towline/contract';
import type { Output } from '../output/output.ts';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';

/** Columns of `orgs list`. */
export function orgColumns(now: number): readonly Column<OrgView>[] {
  return [
    { heading: 'ID', text: (org) => shown(org.id, 63) },
    { heading: 'NAME', text: (org) => shown(org.name, 64) },
    { heading: 'YOUR ROLE', text: (org) => shown(org.role ?? '', 40) },
    { heading: 'CREATED', text: (org) => relativeText(org.created_at, now) },
  ];
}

/** Prints an organisation. */
export function printOrg(output: Output, org: OrgView, now: number): void {
  output.fields([
    ['id', shown(org.id)],
    ['name', shown(org.name)],
    ['scope', `org:${shown(org.id)}`],
    ['your role', org.role === null ? null : shown(org.role, 40)],
    ['created', `${relativeText(org.created_at, now)} by ${shown(org.created_by)}`],
  ]);
}

/** Columns of `orgs members list`. */
export function memberColumns(now: number): readonly Column<MemberView>[] {
  return [
    { heading: 'E-MAIL', text: (member) => shown(member.email, 254) },
    { heading: 'ROLE', text: (member) => shown(member.role, 40) },
    { heading: 'ADDED', text: (member) => relativeText(member.added_at, now) },
    { heading: 'BY', text: (member) => shown(member.added_by, 64) },
  ];
}
