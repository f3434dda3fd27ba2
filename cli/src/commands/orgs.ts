import type { OrgView } from '@towline/contract';
import type { OrgId } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { canAsk, confirm } from '../people/confirm.ts';
import { orgColumns, printOrg } from '../people/org-fields.ts';
import { readOrg, scopeOption, textOf } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { ORG } from '../relay/views.ts';
import { membersCommand } from './orgs-members.ts';

/** `towline orgs …` */
export function orgsCommand(program: Program): Command {
  return new Command('orgs')
    .description('organisations and who is in them')
    .addCommand(createCommand(program))
    .addCommand(listCommand(program))
    .addCommand(showCommand(program))
    .addCommand(deleteCommand(program))
    .addCommand(membersCommand(program));
}

function createCommand(program: Program): Command {
  const command = new Command('create')
    .description('create an organisation (platform admins)')
    .argument('<id>', 'lower-case letters, digits and inner dashes; given once, for ever')
    .option('--name <name>', 'its name for people; the id when left out')
    .option('--adopt', 'also when devices, keys or secrets name the id already: they belong to it from then on');
  return program.bind(command, async (context, { args: [word], options }) => {
    const id = readOrg(word!);
    const name = textOf(options.name);
    const body = { id, ...(name === undefined ? {} : { name }), ...(options.adopt === true ? { adopt: true } : {}) };
    using relay = await openRelay(context);
    const org = checkAnswer<OrgView>(await relay.api.request('POST', '/v1/orgs', { body, signal: context.host.signal }), ORG);
    if (context.output.json) context.output.document(org);
    else context.output.line(`created org:${shown(org.id)} (${shown(org.name)})`);
    return undefined;
  });
}

function listCommand(program: Program): Command {
  return program.bind(new Command('list').description('list the organisations you can see'), async (context) => {
    const { host, output } = context;
    using relay = await openRelay(context);
    const list = await readList<OrgView>(relay.api, { path: '/v1/orgs', shape: ORG, signal: host.signal });
    if (output.json) output.document(list);
    else output.table(orgColumns(host.now()), list.items, 'no organisations; `towline orgs create ID` makes one');
    return undefined;
  });
}

function showCommand(program: Program): Command {
  const command = new Command('show').description('show an organisation').argument('<id>');
  return program.bind(command, async (context, { args: [word] }) => {
    const id = readOrg(word!);
    using relay = await openRelay(context);
    const org = checkAnswer<OrgView>(await relay.api.request('GET', apiPath`/v1/orgs/${id}`, { signal: context.host.signal }), ORG);
    if (context.output.json) context.output.document(org);
    else printOrg(context.output, org, context.host.now());
    return undefined;
  });
}

function deleteCommand(program: Program): Command {
  const command = new Command('delete')
    .description('delete an organisation: its memberships, keys and secrets end, its id is not given again')
    .argument('<id>')
    .option('--devices-to <scope>', 'who gets its devices: user:EMAIL or org:ID; needed when it has some')
    .option('--yes', 'do not ask on the terminal');
  return program.bind(command, async (context, { args: [word], options }) => {
    const id = readOrg(word!);
    const heir = scopeOption(options.devicesTo);
    if (options.yes !== true && canAsk(context.host)) await confirm(context, `Delete org:${id} for good?`);
    await deleteOrg(context, id, heir);
    return undefined;
  });
}

async function deleteOrg(context: Context, id: OrgId, heir: string | undefined): Promise<void> {
  const { host, output } = context;
  using relay = await openRelay(context);
  await relay.api.request('DELETE', apiPath`/v1/orgs/${id}`, { query: { devices_to: heir }, signal: host.signal });
  if (output.json) output.document({ deleted: id });
  else output.line(`deleted org:${id}${heir === undefined ? '' : `; its devices belong to ${heir} now`}`);
}
