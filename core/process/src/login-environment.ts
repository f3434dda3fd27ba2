import { printable, type SecretValue, type SessionId } from '@towline/protocol';
import type { Account } from './account.ts';
import { isPlainName } from './plain-name.ts';
import { secretsEnvironment } from './secret-environment.ts';

/** What a program's environment is made of. Nothing of the runtime's own environment is in it. */
export interface EnvironmentRequest {
  readonly account: Account;
  readonly session: SessionId;
  /** Label of whoever opened the session. */
  readonly principal: string;
  /** With a terminal only. */
  readonly term?: string | undefined;
  readonly lang?: string | undefined;
  /** Carried past the login; `loginCommand` and `loginShell` give them their names. */
  readonly secrets?: readonly SecretValue[] | undefined;
}

/** Longest label passed on: an e-mail address has at most 320 characters. */
const MAX_LABEL = 320;

/** The environment of a login, before the login shell reads its files. */
export function loginEnvironment({ account, session, principal, term, lang, secrets = [] }: EnvironmentRequest): Record<string, string> {
  return {
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    SHELL: account.shell,
    PATH: account.uid === 0 ? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' : '/usr/local/bin:/usr/bin:/bin',
    LANG: isPlainName(lang) ? lang : 'C.UTF-8',
    ...(isPlainName(term) ? { TERM: term } : {}),
    TOWLINE_SESSION: session,
    TOWLINE_USER: printable(principal).slice(0, MAX_LABEL),
    ...secretsEnvironment(secrets),
  };
}
