import { toTowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { shown } from '../output/terminal-text.ts';
import { loginByDeviceFlow } from '../provider/device-flow.ts';
import { revokeToken } from '../provider/revoke.ts';
import type { StoredToken } from '../provider/token.ts';
import { tokenCredential } from '../relay/credential.ts';
import type { RelaySettings } from '../relay/settings.ts';
import type { DeviceFlowMethod } from './login-methods.ts';
import type { ObtainedLogin } from './obtained-login.ts';
import { showCode } from './show-code.ts';

/** Logs in at an identity provider, on whatever screen the person has at hand. */
export async function loginAtProvider(context: Context, { url }: RelaySettings, method: DeviceFlowMethod): Promise<ObtainedLogin> {
  const { host, globals, output } = context;
  const { issuer, client_id, scopes, audience } = method;
  // The relay has named all of it: one that is not honest could ask for a token that opens other doors of the same person.
  output.note(`${url.origin} will be given a token of ${shown(issuer, 200)}, issued to “${shown(client_id, 80)}” for ${askedFor(method)}`);
  const coloured = globals.color && !host.env.NO_COLOR;
  const token = await loginByDeviceFlow({
    issuer,
    client_id,
    scopes,
    ...(audience ? { audience } : {}),
    env: host.env,
    signal: host.signal,
    now: () => host.now(),
    show: (code) => showCode(host, coloured, code),
  });
  return { credential: tokenCredential(token), stored: { OAuth2Token: token }, undo: () => undo(context, token) };
}

/** What a token is asked for, for people. */
function askedFor({ scopes, audience }: DeviceFlowMethod): string {
  return shown([...scopes, ...(audience ? [`(${audience})`] : [])].join(' '), 200);
}

/** Also after Ctrl-C: a login that is kept nowhere should live nowhere. */
async function undo({ host, output }: Context, token: StoredToken): Promise<void> {
  try {
    await revokeToken(token, { env: host.env });
  } catch (error) {
    output.note(`the login could not be revoked at the identity provider, where it ends by itself: ${toTowlineError(error).message}`);
  }
}
