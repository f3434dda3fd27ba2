import { type AuthOutcome, definePlugin, type Log } from '@towline/contract';
import { defined } from '@towline/protocol';
import { createBasicJudge, emailDomainsOf, PROVIDER } from './basic-provider.ts';
import { type BasicOptions, type BasicUser, optionsSchema } from './options.ts';
import { hashPassword, parsePasswordHash } from './password-hash.ts';

/** Auth provider `basic`: users whose hashed passwords are in the config. */
export const plugin = definePlugin({
  kind: 'auth',
  name: PROVIDER,
  options: optionsSchema,
  create(options, { clock, log }) {
    let judge: ReturnType<typeof createBasicJudge> | undefined;
    return {
      loginMethod: { method: 'basic', label: 'user name and password' },
      ...defined({ emailDomains: emailDomainsOf(options.users ?? []) }),
      async start() {
        judge = createBasicJudge(await usersOf(options, log), clock);
      },
      async authenticate(credential, signal): Promise<AuthOutcome> {
        return judge === undefined ? { outcome: 'skipped' } : judge(credential, signal);
      },
    };
  },
});

/** The users; that of older files, with a password in plain, is a platform admin. */
async function usersOf({ users, username, password }: BasicOptions, log: Log): Promise<readonly BasicUser[]> {
  if (users !== undefined) return users;
  log.warn('The password of basic auth is in the config in plain. Put what `towline-relay hash-password` prints into users instead.');
  // The schema has checked that both are there, and nothing else makes a hash.
  const hash = parsePasswordHash(await hashPassword(password!))!;
  return [{ username: username!, password_hash: hash, scopes: [], admin: true }];
}
