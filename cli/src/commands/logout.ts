import { readCredentials, type UserCredentials, userFolder } from '@towline/config/user-files';
import { toTowlineError } from '@towline/protocol';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import type { Program } from '../invocation/program.ts';
import { forgetLogin } from '../login/store-login.ts';

/** `towline logout` */
export function logoutCommand(program: Program): Command {
  const command = new Command('logout').description('forget the stored login, and revoke it at its identity provider');
  return program.bind(command, async (context) => {
    const { host, globals, output } = context;
    const dir = userFolder({ env: host.env, profile: globals.profile });
    // Nothing is written, and no folder made, where there is nothing to forget.
    const found = (await readCredentials(dir)).credentials === undefined ? undefined : await forgetLogin(dir);
    // What was taken out under the lock is what is revoked: no other program can renew it any more.
    const revoked = found?.OAuth2Token === undefined ? undefined : await revoke(context, found.OAuth2Token);
    if (output.json) output.document({ logged_out: found !== undefined, ...(revoked === undefined ? {} : { revoked }) });
    else output.line(found === undefined ? 'nobody was logged in' : farewell(found, revoked));
    if (host.env.TOWLINE_API_KEY || host.env.M87_API_KEY) output.note('the API key in the environment is still in use');
    return undefined;
  });
}

/** Whether the provider revoked it. One that cannot be reached keeps nobody logged in here. */
async function revoke({ host, output }: Context, token: NonNullable<UserCredentials['OAuth2Token']>): Promise<boolean> {
  const { revokeToken } = await import('../provider/revoke.ts');
  try {
    return (await revokeToken(token, { env: host.env, signal: host.signal })) === 'revoked';
  } catch (error) {
    output.note(`the login is forgotten here, but was not revoked: ${toTowlineError(error).message}`);
    return false;
  }
}

function farewell({ OAuth2Token, Basic }: UserCredentials, revoked: boolean | undefined): string {
  if (revoked === true) return 'logged out, and revoked at the identity provider';
  if (OAuth2Token !== undefined) return 'logged out; the token itself stays valid until it ends';
  return Basic === undefined ? 'logged out; the API key itself stays valid until it is revoked' : 'logged out';
}
