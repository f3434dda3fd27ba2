import { readCredentials, userFolder } from '@towline/config/user-files';
import { Command } from 'commander';
import type { Program } from '../invocation/program.ts';
import { forgetLogin } from '../login/store-login.ts';

/** `towline logout` */
export function logoutCommand(program: Program): Command {
  const command = new Command('logout').description('forget the stored login');
  return program.bind(command, async ({ host, globals, output }) => {
    const dir = userFolder({ env: host.env, profile: globals.profile });
    // Nothing is written, and no folder made, where there is nothing to forget.
    const found = (await readCredentials(dir)).credentials !== undefined && (await forgetLogin(dir));
    if (output.json) output.document({ logged_out: found });
    else output.line(found ? 'logged out; the API key itself stays valid until it is revoked' : 'nobody was logged in');
    if (host.env.TOWLINE_API_KEY || host.env.M87_API_KEY) output.note('the API key in the environment is still in use');
    return undefined;
  });
}
