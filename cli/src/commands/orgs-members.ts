import type { MemberView } from '@towline/contract';
import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { memberColumns } from '../people/org-fields.ts';
import { readEmail, readOrg, roleOption } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { MEMBER } from '../relay/views.ts';

/** `towline orgs members …` */
export function membersCommand(program: Program): Command {
  return new Command('members')
    .description('who is in an organisation, and in which role')
    .addCommand(listCommand(program))
    .addCommand(addCommand(program))
    .addCommand(removeCommand(program));
}

function listCommand(program: Program): Command {
  const command = new Command('list').description('list the members of an organisation').argument('<org>');
  return program.bind(command, async (context, { args: [org] }) => {
    const { host, output } = context;
    const path = apiPath`/v1/orgs/${readOrg(org!)}/members`;
    using relay = await openRelay(context);
    const list = await readList<MemberView>(relay.api, { path, shape: MEMBER, signal: host.signal });
    if (output.json) output.document(list);
    else output.table(memberColumns(host.now()), list.items, 'no members; only platform admins reach what it owns');
    return undefined;
  });
}

function addCommand(program: Program): Command {
  const command = new Command('add')
    .description('add somebody to an organisation, or change the role')
    .argument('<org>')
    .argument('<email>', 'whoever proves this address when logging in')
    .addOption(roleOption('what the member may do with its devices'));
  return program.bind(command, async (context, { args: [org, who], options: { role } }) => {
    const path = apiPath`/v1/orgs/${readOrg(org!)}/members/${readEmail(who!)}`;
    using relay = await openRelay(context);
    const answer = await relay.api.request('PUT', path, { body: { role }, signal: context.host.signal });
    const member = checkAnswer<MemberView>(answer, MEMBER);
    if (context.output.json) context.output.document(member);
    else context.output.line(`${shown(member.email, 254)} is ${shown(member.role, 40)} of org:${readOrg(org!)}`);
    return undefined;
  });
}

function removeCommand(program: Program): Command {
  const command = new Command('remove')
    .description('remove somebody from an organisation: access through it ends at once')
    .argument('<org>')
    .argument('<email>');
  return program.bind(command, async (context, { args: [org, who] }) => {
    const { host, output } = context;
    const id = readOrg(org!);
    const email = readEmail(who!);
    using relay = await openRelay(context);
    await relay.api.request('DELETE', apiPath`/v1/orgs/${id}/members/${email}`, { signal: host.signal });
    if (output.json) output.document({ removed: email });
    else output.line(`removed ${shown(email, 254)} from org:${id}`);
    return undefined;
  });
}
