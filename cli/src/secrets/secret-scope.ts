import type { ApiClient } from '@towline/link';
import { type Scope, TowlineError, userScope } from '@towline/protocol';
import type { Typed } from '../invocation/program.ts';
import { readMe } from '../login/me.ts';
import { scopeOption } from '../people/words.ts';

/** The scope of `--scope`, else the user's own. @throws TowlineError `usage` for a user who has none. */
export async function secretScope(api: ApiClient, options: Typed['options'], signal: AbortSignal): Promise<Scope> {
  const given = scopeOption(options.scope);
  if (given !== undefined) return given;
  const { email, email_note } = await readMe(api, signal);
  if (email !== null) return userScope(email);
  throw new TowlineError('usage', 'You have no scope of your own here: the relay knows no e-mail address of yours.', {
    hint: `Say whose secrets are meant with --scope org:ID.${email_note ? ` ${email_note}` : ''}`,
  });
}
