import { apiKeyOfEnvironment, readCredentials, readDeviceState } from '@towline/config/user-files';
import { isTowlineError, parseApiKey } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';
import { createClient } from '../relay/access.ts';
import { isSameRelay } from '../relay/settings.ts';
import { type Finding, failed, ok, skipped } from './finding.ts';
import type { Subject } from './subject.ts';

/**
 * Asks the relay whether it knows the key of this machine as a device. No link is made: that would take the place of
 * the one that a runtime has. @throws TowlineError what the relay refuses the key with.
 */
export async function checkDevice(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { context, dir } = subject;
  const target = await subject.target();
  if (target.device === null) return noDevice(dir);
  const { url, name } = target.device.relay;
  if (!isSameRelay(url, target.url))
    return skipped(
      `This machine is a device of another relay, ${shown(url)}.`,
      `To check that one, run \`towline doctor --relay ${shown(url)}\`.`,
    );
  const key = await readDeviceKey(subject);
  if (typeof key !== 'string') return key;
  using api = createClient(context, target, { source: 'login', header: 'X-API-Key', value: key });
  try {
    await api.request('GET', '/v1/links/device', { signal });
  } catch (error) {
    // Whoever is let in, and asks for no link, is told that this path is for links only.
    if (!isTowlineError(error) || error.code !== 'protocol_error') throw error;
  }
  return ok(`The relay knows this machine as the device ${shown(name)}.`);
}

async function noDevice(dir: string): Promise<Finding> {
  const readable = await readDeviceState(dir).then(
    () => true,
    () => false,
  );
  if (!readable) return skipped('Not checked, because permissions did not pass: device.json cannot be read.');
  return skipped('This machine is not enrolled as a device.');
}

async function readDeviceKey({ context, dir }: Subject): Promise<string | Finding> {
  const given = apiKeyOfEnvironment(context.host.env);
  if (given !== undefined && parseApiKey(given)?.kind === 'device') return given;
  try {
    const kept = (await readCredentials(dir)).device_credentials?.api_key;
    return kept ?? failed('This machine is enrolled as a device, but its key is gone.', 'Run `towline runtime login` to enrol it again.');
  } catch (error) {
    if (!isTowlineError(error)) throw error;
    return skipped('Not checked, because permissions did not pass: the key cannot be read.');
  }
}
