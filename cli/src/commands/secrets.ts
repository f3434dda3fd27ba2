import type { SecretView } from '@towline/contract';
import { secretNameFault, TowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import type { Column } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { relativeText } from '../output/times.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { SECRET } from '../relay/views.ts';
import { readSecretValue } from '../secrets/read-value.ts';
import { secretScope } from '../secrets/secret-scope.ts';

const SCOPE_OPTION = ['--scope <scope>', 'whose they are: `org:ID` or `user:EMAIL`; your own when left out'] as const;

/** `towline secrets …` */
export function secretsCommand(program: Program): Command {
  return new Command('secrets')
    .description('secrets for the environment of what runs on devices: `exec --secret NAME`')
    .addCommand(setCommand(program))
    .addCommand(listCommand(program))
    .addCommand(removeCommand(program));
}

function setCommand(program: Program): Command {
  const command = new Command('set')
    .description('set or replace a secret; its value is read from stdin, or asked for on a terminal')
    .argument('<name>', 'the name of the variable it becomes')
    .option(...SCOPE_OPTION);
  return program.bind(command, async (context, { args: [name], options }) => {
    const { host, output } = context;
    checkName(name!);
    using relay = await openRelay(context);
    const scope = await secretScope(relay.api, options, host.signal);
    const body = { value: await readSecretValue(host, name!) };
    const answer = await relay.api.request('PUT', apiPath`/v1/secrets/${scope}/${name!}`, { body, signal: host.signal });
    const secret = checkAnswer<SecretView>(answer, SECRET);
    if (output.json) output.document(secret);
    else output.line(`set ${shown(secret.name)} of ${shown(secret.scope, 320)}`);
    return undefined;
  });
}

function listCommand(program: Program): Command {
  const command = new Command('list').description('list secrets, by name; nobody is shown their values').option(...SCOPE_OPTION);
  return program.bind(command, async (context, { options }) => {
    const { host, output } = context;
    using relay = await openRelay(context);
    const scope = await secretScope(relay.api, options, host.signal);
    const list = await readList<SecretView>(relay.api, { path: '/v1/secrets', shape: SECRET, query: { scope }, signal: host.signal });
    if (output.json) output.document(list);
    else output.table(columns(context), list.items, 'no secrets; `towline secrets set` makes one');
    return undefined;
  });
}

function removeCommand(program: Program): Command {
  const command = new Command('remove')
    .description('remove a secret; what runs with it keeps it')
    .argument('<name>', 'its name, as `secrets list` shows it')
    .option(...SCOPE_OPTION);
  return program.bind(command, async (context, { args: [name], options }) => {
    const { host, output } = context;
    using relay = await openRelay(context);
    const scope = await secretScope(relay.api, options, host.signal);
    await relay.api.request('DELETE', apiPath`/v1/secrets/${scope}/${name!}`, { signal: host.signal });
    if (output.json) output.document({ removed: name!, scope });
    else output.line(`removed ${shown(name!)} of ${shown(scope, 320)}`);
    return undefined;
  });
}

/** Whoever writes the value behind the name gives it to the process list already; it goes no further, not even into the error. */
function checkName(name: string): void {
  const fault = name.includes('=') ? 'the value does not belong on the command line, where others can see it' : secretNameFault(name);
  if (fault === null) return;
  throw new TowlineError('usage', `${fault[0]!.toUpperCase()}${fault.slice(1)}.`, {
    hint: 'Use `towline secrets set NAME`, which asks for the value or reads it from stdin.',
  });
}

function columns({ host }: Context): readonly Column<SecretView>[] {
  const now = host.now();
  return [
    { heading: 'NAME', text: ({ name }) => shown(name, 128) },
    { heading: 'SCOPE', text: ({ scope }) => shown(scope, 80) },
    { heading: 'SET', text: ({ updated_at }) => relativeText(updated_at, now) },
    { heading: 'BY', text: ({ updated_by }) => shown(updated_by, 80) },
  ];
}
