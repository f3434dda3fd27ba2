import type { UserView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { readList } from '../relay/pages.ts';
import { apiPath } from '../relay/paths.ts';
import { USER } from '../relay/views.ts';
import { readEmail } from './words.ts';

/** Stands in every id of a user, between issuer and subject. An address that has it too can be written as `user:EMAIL`. */
const IN_IDS = '|';

/** What a word that names users can be. */
export type UserWord = { readonly id: string } | { readonly email: string };

/** Reads an id of a user, an e-mail address or `user:EMAIL`. @throws TowlineError `usage`. */
export function readUserWord(word: string): UserWord {
  return !word.startsWith('user:') && word.includes(IN_IDS) ? { id: word } : { email: readEmail(word) };
}

/** The user of an id, or all that a provider vouched for with an e-mail address. @throws TowlineError `not_found`. */
export async function findUsers(api: ApiClient, word: UserWord, signal: AbortSignal): Promise<readonly UserView[]> {
  if ('id' in word) return [checkAnswer<UserView>(await api.request('GET', apiPath`/v1/users/${word.id}`, { signal }), USER)];
  const { items } = await readList<UserView>(api, { path: '/v1/users', shape: USER, query: { email: word.email }, signal });
  if (items.length > 0) return items;
  throw new TowlineError('not_found', `No user has the e-mail address ${shown(word.email, 254)}.`, {
    hint: 'Users are known from their first login on; `towline users list` shows them.',
  });
}
