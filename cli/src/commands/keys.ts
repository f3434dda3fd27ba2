import type { CreatedKeyView, KeyView } from '@towline/contract';
import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { keyColumns } from '../people/key-columns.ts';
import { readKeyId, readKeyRequest } from '../people/key-words.ts';
import { repeatable, textOf } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { CREATED_KEY, checkScopes, KEY } from '../relay/views.ts';

/** `towline keys …` */
export function keysCommand(program: Program): Command {
  return new Command('keys')
    .description('API keys for programs, and keys that enrol devices')
    .addCommand(createCommand(program))
    .addCommand(listCommand(program))
    .addCommand(revokeCommand(program));
}

function createCommand(program: Program): Command {
  const command = new Command('create')
    .description('create a key that may what you may, or less; it is printed this once')
    .option('--name <name>', 'what it is for')
    .addOption(repeatable('--scope <scope[=role]>', 'limit it to this scope and role; operator when no role is given'))
    .addOption(repeatable('--stream <kind>', 'limit it to this kind of stream, as shell or exec'))
    .addOption(repeatable('--device <device>', 'limit it to this device'))
    .option('--expires <time>', 'when it ends: `12h` or `90d` from now, or RFC 3339')
    .option('--enrol <scope>', 'make a key that enrols devices without approval; they belong to this scope')
    .option('--count <number>', 'how many devices it may enrol');
  return program.bind(command, async (context, { options }) => {
    const body = readKeyRequest(options, context.host.now());
    using relay = await openRelay(context);
    const answer = await relay.api.request('POST', '/v1/keys', { body, signal: context.host.signal });
    const created = checkAnswer<CreatedKeyView>(answer, CREATED_KEY);
    if (context.output.json) context.output.document(created);
    else context.output.line(shown(created.key));
    return undefined;
  });
}

function listCommand(program: Program): Command {
  const command = new Command('list')
    .description('list your keys, without their secrets')
    .option('--all', 'list those of every scope that you are admin of')
    .option('--revoked', 'list those that are revoked, too');
  return program.bind(command, async (context, { options }) => {
    const { host, output } = context;
    using relay = await openRelay(context);
    const query = { all: options.all === true ? 'true' : undefined, revoked: options.revoked === true ? 'true' : undefined };
    const list = await readList<KeyView>(relay.api, { path: '/v1/keys', shape: KEY, query, signal: host.signal });
    for (const { scopes } of list.items) checkScopes(scopes);
    if (output.json) output.document(list);
    else output.table(keyColumns(host.now()), list.items, 'no keys; `towline keys create` makes one');
    return undefined;
  });
}

function revokeCommand(program: Program): Command {
  const command = new Command('revoke')
    .description('revoke a key: what it opened ends at once')
    .argument('<id>', 'its id, as `keys list` shows it')
    .option('--reason <text>', 'kept with the key and in the audit trail');
  return program.bind(command, async (context, { args: [word], options }) => {
    const id = readKeyId(word!);
    using relay = await openRelay(context);
    const query = { reason: textOf(options.reason) };
    await relay.api.request('DELETE', apiPath`/v1/keys/${id}`, { query, signal: context.host.signal });
    if (context.output.json) context.output.document({ revoked: id });
    else context.output.line(`revoked ${id}`);
    return undefined;
  });
}
