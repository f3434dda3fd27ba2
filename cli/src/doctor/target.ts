import { apiKeyOfEnvironment, userFolder } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';
import { parseRelayUrl } from '@towline/link';
import { isTowlineError, parseApiKey } from '@towline/protocol';
import type { Context } from '../context.ts';
import type { Host } from '../host.ts';
import { isSameRelay, type RelaySettings, readRelaySettings, trustOfEnvironment } from '../relay/settings.ts';
import { readThisDevice, type ThisDevice } from './this-device.ts';

/** The relay that the checks are about. */
export interface Target {
  readonly url: URL;
  readonly trust: TrustSettings;
  /** Where its URL comes from, in words. */
  readonly source: string;
  /** Settings of the user; null where only the runtime of this machine knows a relay. */
  readonly settings: RelaySettings | null;
  readonly device: ThisDevice | null;
}

/**
 * The relay that every other command would use, else the one that this machine is enrolled at.
 * @throws TowlineError `usage` when there is neither, and what the settings are refused with.
 */
export async function findTarget(context: Context): Promise<Target> {
  const { globals, host } = context;
  const device = await readThisDevice(userFolder({ env: host.env, profile: globals.profile }));
  try {
    const settings = await readRelaySettings(context);
    const source = sourceOf(context);
    if (device !== null && isOnlyDevice(device, settings, host.env)) return await deviceTarget(device, source, host.env);
    return { url: settings.url, trust: settings.trust, source, settings, device };
  } catch (error) {
    // Only the want of any relay is a wrong use here: the profile was looked at before.
    if (device === null || !isTowlineError(error) || error.code !== 'usage') throw error;
    return deviceTarget(device, 'the enrolment of this machine', host.env);
  }
}

async function deviceTarget(device: ThisDevice, source: string, env: Host['env']): Promise<Target> {
  const trust = (await trustOfEnvironment(env)) ?? device.trust;
  return { url: parseRelayUrl(device.relay.url), trust, source, settings: null, device };
}

/** Whether nobody is logged in beside the runtime, whose own trust counts then. */
function isOnlyDevice({ relay }: ThisDevice, { url, config }: RelaySettings, env: Host['env']): boolean {
  if (config.relay !== undefined || !isSameRelay(relay.url, url)) return false;
  const given = apiKeyOfEnvironment(env);
  const kind = given === undefined ? undefined : parseApiKey(given)?.kind;
  return given === undefined || kind === 'device' || kind === 'enrolment';
}

function sourceOf({ globals, host }: Context): string {
  if (globals.relay !== undefined) return '--relay';
  return host.env.TOWLINE_RELAY ? 'TOWLINE_RELAY' : 'the login';
}
