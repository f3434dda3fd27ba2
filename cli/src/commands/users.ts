import type { UserView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { toTowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';
import { userColumns } from '../people/user-columns.ts';
import { findUsers, readUserWord } from '../people/user-word.ts';
import { readEmail, textOf } from '../people/words.ts';
import { openRelay } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { USER } from '../relay/views.ts';

const WHO_WORD = 'id of a user, or an e-mail address: all users that have it';

/** `towline users …` */
export function usersCommand(program: Program): Command {
  return new Command('users')
    .description('list those who have logged in, disable and enable them (platform admins)')
    .addCommand(listCommand(program))
    .addCommand(disableCommand(program))
    .addCommand(enableCommand(program));
}

function listCommand(program: Program): Command {
  const command = new Command('list')
    .description('list those who have logged in')
    .option('--email <email>', 'only those with this e-mail address')
    .option('--disabled', 'only those who are disabled');
  return program.bind(command, async (context, { options }) => {
    const { host, output } = context;
    const email = textOf(options.email);
    const query = { email: email === undefined ? undefined : readEmail(email), disabled: options.disabled === true ? 'true' : undefined };
    using relay = await openRelay(context);
    const list = await readList<UserView>(relay.api, { path: '/v1/users', shape: USER, query, signal: host.signal });
    if (output.json) output.document(list);
    else output.table(userColumns(host.now()), list.items, 'no users');
    return undefined;
  });
}

function disableCommand(program: Program): Command {
  const command = new Command('disable')
    .description('end every access of a user at once, and refuse further logins')
    .argument('<who>', WHO_WORD)
    .option('--reason <text>', 'told to the user and kept in the audit trail');
  return program.bind(command, (context, { args: [word], options }) =>
    switchUsers(context, word!, { disabled: true, reason: textOf(options.reason) }),
  );
}

function enableCommand(program: Program): Command {
  const command = new Command('enable').description('let a disabled user in again').argument('<who>', WHO_WORD);
  return program.bind(command, (context, { args: [word] }) => switchUsers(context, word!, { disabled: false }));
}

/** Body of the change. */
interface Change {
  readonly disabled: boolean;
  readonly reason?: string | undefined;
}

async function switchUsers(context: Context, word: string, change: Change): Promise<undefined> {
  const named = readUserWord(word);
  using relay = await openRelay(context);
  const users = await findUsers(relay.api, named, context.host.signal);
  const { done, failure } = await switchAll(context, relay.api, { users, change });
  if (context.output.json && done.length > 0) context.output.document({ items: done, next: null });
  if (failure !== undefined) throw failure;
}

/** One refusal, as of disabling oneself, does not save the others. */
async function switchAll(
  { host, output }: Context,
  api: ApiClient,
  { users, change }: { readonly users: readonly UserView[]; readonly change: Change },
) {
  const done: UserView[] = [];
  let failure: unknown;
  for (const { id } of users) {
    try {
      const user = checkAnswer<UserView>(await api.request('PATCH', apiPath`/v1/users/${id}`, { body: change, signal: host.signal }), USER);
      done.push(user);
      if (!output.json) output.line(`${user.disabled ? 'disabled' : 'enabled'} ${shown(user.label, 254)} (${shown(user.id, 512)})`);
    } catch (error) {
      if (users.length > 1) output.note(`${shown(id, 512)}: ${shown(toTowlineError(error).message)}`);
      failure ??= error;
    }
  }
  return { done, failure };
}
