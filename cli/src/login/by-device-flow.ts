import { toTowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { loginByDeviceFlow } from '../provider/device-flow.ts';
import { revokeToken } from '../provider/revoke.ts';
import type { StoredToken } from '../provider/token.ts';
import { tokenCredential } from '../relay/credential.ts';
import type { DeviceFlowMethod } from './login-methods.ts';
import type { ObtainedLogin } from './obtained-login.ts';
import { showCode } from './show-code.ts';

/** Logs in at an identity provider, on whatever screen the person has at hand. */
export async function loginAtProvider(context: Context, { issuer, client_id, scopes, audience }: DeviceFlowMethod): Promise<ObtainedLogin> {
  const { host, globals } = context;
  const coloured = globals.color && !host.env.NO_COLOR;
  const token = await loginByDeviceFlow({
    issuer,
    client_id,
    scopes,
    ...(audience === undefined || audience === null ? {} : { audience }),
    env: host.env,
    signal: host.signal,
    now: () => host.now(),
    show: (code) => showCode(host, coloured, code),
  });
  return { credential: tokenCredential(token), stored: { OAuth2Token: token }, undo: () => undo(context, token) };
}

/** Also after Ctrl-C: a login that is kept nowhere should live nowhere. */
async function undo({ host, output }: Context, token: StoredToken): Promise<void> {
  try {
    await revokeToken(token, { env: host.env });
  } catch (error) {
    output.note(`the login could not be revoked at the identity provider, where it ends by itself: ${toTowlineError(error).message}`);
  }
}
