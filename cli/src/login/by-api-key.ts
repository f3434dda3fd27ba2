import { apiKeyOfEnvironment } from '@towline/config/user-files';
import { TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { keyCredential } from '../relay/credential.ts';
import type { RelaySettings } from '../relay/settings.ts';
import { askSecret, readSecretFromStdin } from './ask-secret.ts';
import type { ObtainedLogin } from './obtained-login.ts';

/** Logs in by the key of `--api-key`; `-` stands for stdin. */
export async function loginByGivenKey({ host, output }: Context, option: string): Promise<ObtainedLogin> {
  if (option !== '-') {
    output.note('warning: a key on the command line is visible in the process list and stays in the history; prefer --api-key -');
    return obtained(option, 'The key');
  }
  const input = { name: 'The key', hint: 'Pipe in the key alone, as in `towline login --api-key - < key.txt`.' };
  return obtained((await readSecretFromStdin(host.stdin, input)).trim(), 'The key on stdin');
}

/** Logs in by the key of the environment; undefined when there is none. */
export function loginByEnvironment({ host, output }: Context): ObtainedLogin | undefined {
  const key = apiKeyOfEnvironment(host.env);
  if (key === undefined) return undefined;
  output.note('taking the API key from the environment');
  return obtained(key, 'The key in the environment');
}

/** Asks for a key on the terminal. The relay has proved itself before: it was asked what it offers. */
export async function loginByAskedKey({ host }: Context, { url }: RelaySettings): Promise<ObtainedLogin> {
  if (host.stdin.isTTY !== true) {
    throw new TowlineError('usage', 'There is no terminal to ask for the API key on.', {
      hint: 'Pipe it in with `--api-key -`, or set TOWLINE_API_KEY.',
    });
  }
  return obtained((await askSecret(host, `API key for ${url.origin} (not shown): `)).trim(), 'The key');
}

function obtained(key: string, which: string): ObtainedLogin {
  return { credential: keyCredential(key, which), stored: { APIKey: { api_key: key } } };
}
