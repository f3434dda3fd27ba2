import type { TokenView } from '@towline/contract';
import { isTowlineError, TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { createClient } from '../relay/access.ts';
import { checkAnswer } from '../relay/answer-shape.ts';
import { basicCredential, tokenCredential } from '../relay/credential.ts';
import type { RelaySettings } from '../relay/settings.ts';
import { askLine, askSecret, readSecretFromStdin } from './ask-secret.ts';
import type { ObtainedLogin } from './obtained-login.ts';

/** What a relay answers that makes no tokens, or is of an older version. */
const WITHOUT_TOKENS: ReadonlySet<string> = new Set(['unavailable', 'not_found', 'relay_not_towline']);

interface NameAndPassword {
  readonly username: string;
  readonly password: string;
}

/** Logs in by user name and password, which become a token where the relay makes them. `fromStdin`: as `USER:PASSWORD`. */
export async function loginByBasic(context: Context, settings: RelaySettings, fromStdin: boolean): Promise<ObtainedLogin> {
  const typed = fromStdin ? await readFromStdin(context) : await ask(context, settings);
  const basic = checkTyped(typed);
  const issued = await issueToken(context, settings, basic);
  if (issued !== undefined) return { credential: tokenCredential(issued), stored: { OAuth2Token: issued } };
  context.output.note('this relay makes no tokens: user name and password themselves are stored, readable by this user alone');
  return { credential: basicCredential(basic), stored: { Basic: basic } };
}

async function readFromStdin({ host }: Context): Promise<NameAndPassword> {
  const input = { name: 'The login', hint: 'Pipe in USER:PASSWORD, as in `towline login --basic - < login.txt`.' };
  const line = await readSecretFromStdin(host.stdin, input);
  const colon = line.indexOf(':');
  if (colon < 0) throw new TowlineError('usage', 'What is on stdin has no colon between user name and password.', { hint: input.hint });
  return { username: line.slice(0, colon), password: line.slice(colon + 1) };
}

async function ask({ host }: Context, { url }: RelaySettings): Promise<NameAndPassword> {
  if (host.stdin.isTTY !== true) {
    throw new TowlineError('usage', 'There is no terminal to ask for user name and password on.', {
      hint: 'Pipe them in as USER:PASSWORD with `--basic -`.',
    });
  }
  const username = (await askLine(host, `User name for ${url.origin}: `)).replace(/\r$/, '');
  return { username, password: await askSecret(host, 'Password (not shown): ') };
}

function checkTyped({ username, password }: NameAndPassword): NameAndPassword {
  const wrong = (what: string) => new TowlineError('usage', `${what} Nothing was sent.`, { hint: 'Type it again.' });
  if (username === '' || password === '') throw wrong(`The ${username === '' ? 'user name' : 'password'} is empty.`);
  if (/\p{Cc}/u.test(username + password)) throw wrong('User name or password holds a control character.');
  // RFC 7617 section 2: what stands behind the first colon is the password.
  if (username.includes(':')) throw wrong('A user name with a colon cannot be sent.');
  return { username, password };
}

/** A token for user name and password; undefined where the relay makes none. */
async function issueToken(
  context: Context,
  settings: RelaySettings,
  basic: NameAndPassword,
): Promise<{ access_token: string; expires_at: number } | undefined> {
  using api = createClient(context, settings, basicCredential(basic));
  try {
    const answer = await api.request('POST', '/v1/auth/token', { signal: context.host.signal });
    const { token, expires_at } = checkAnswer<TokenView>(answer, { token: 'text', expires_at: 'text' });
    const endsAt = Date.parse(expires_at);
    if (!Number.isFinite(endsAt)) throw new TowlineError('protocol_error', 'The relay issued a token without a time at which it ends.');
    return { access_token: token, expires_at: Math.floor(endsAt / 1_000) };
  } catch (error) {
    if (isTowlineError(error) && WITHOUT_TOKENS.has(error.code)) return undefined;
    throw error;
  }
}
