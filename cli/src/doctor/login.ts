import type { MeView } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { readMe } from '../login/me.ts';
import { shown } from '../output/terminal-text.ts';
import { durationText } from '../output/times.ts';
import { createClient } from '../relay/access.ts';
import { chooseCredential, type UserCredential } from '../relay/credential.ts';
import type { RelaySettings } from '../relay/settings.ts';
import { type Finding, ok, skipped, warning } from './finding.ts';
import type { Subject } from './subject.ts';
import type { Target } from './target.ts';

/** A key that ends within this time is worth a word, milliseconds. */
const ENDS_SOON_MS = 7 * 86_400_000;

/**
 * Asks the relay whom it takes the user for. Where nobody is logged in and the machine is a device, that is no fault.
 * @throws TowlineError what the credential, or the relay, was refused with.
 */
export async function checkLogin(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { context } = subject;
  const target = await subject.target();
  const found = await findCredential(context, target);
  if ('status' in found) return found;
  using api = createClient(context, target, found);
  const me = await readMe(api, signal);
  return judge(me, found, context.host.now());
}

/** The credential that other commands would send, or why there is nothing to check. */
async function findCredential(context: Context, { settings, device }: Target): Promise<UserCredential | Finding> {
  if (settings === null) return onlyDevice();
  try {
    return await chooseCredential(context.host.env, settings);
  } catch (error) {
    if (!isTowlineError(error)) throw error;
    if (error.code === 'credentials_unsafe' || error.code === 'file_damaged')
      return skipped('Not checked, because permissions did not pass: the login cannot be read.');
    if (device !== null && (error.code === 'key_wrong_kind' || isNobody(error.code, settings))) return onlyDevice();
    throw error;
  }
}

/** Whether there is no login at all, rather than one that cannot be used. */
function isNobody(code: string, { config }: RelaySettings): boolean {
  return code === 'unauthenticated' && config.relay === undefined;
}

function onlyDevice(): Finding {
  return skipped('Nobody is logged in here: this machine is a device.', 'To use it as a person too, run `towline login`.');
}

function judge(me: MeView, { source, kind, renewable }: UserCredential, now: number): Finding {
  const who = `The relay knows you as ${shown(me.label, 320)}${me.admin ? ' (platform admin)' : ''}`;
  const endsAt = me.expires_at === null ? NaN : Date.parse(me.expires_at);
  if (kind === 'api_key' && endsAt - now < ENDS_SOON_MS)
    return warning(`${who}, but your key ends in ${durationText(endsAt - now)}.`, 'Ask for a new one, and run `towline login` with it.');
  if (renewable) return ok(`${who}, by the login at the identity provider, which renews it.`);
  if (kind === 'token') return ok(`${who}, by a token${Number.isNaN(endsAt) ? '' : ` that ends in ${durationText(endsAt - now)}`}.`);
  if (kind === 'basic') return ok(`${who}, by user name and password.`);
  return ok(`${who}, by the key of ${source === 'login' ? 'the login' : 'the environment'}.`);
}
