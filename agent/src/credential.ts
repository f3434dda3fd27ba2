import { createApiClient } from '@towline/link';
import { parseApiKey, TowlineError } from '@towline/protocol';
import { type Enrolled, enrol } from './enrol.ts';
import type { EventSink } from './events.ts';
import type { Identity } from './identity.ts';
import type { Settings } from './settings.ts';
import { deviceFacts, VERSION } from './version.ts';

/** What a credential is obtained with. */
export interface CredentialParts {
  readonly settings: Settings;
  readonly identity: Identity;
  readonly env: NodeJS.ProcessEnv;
  readonly emit: EventSink;
  /** Called for each connection that is not verified. */
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/** The API key of the device. */
export interface DeviceCredential {
  readonly apiKey: string;
  readonly source: 'environment' | 'kept' | 'enrolled';
}

/**
 * The device's credential: the one of the environment, the kept one, or the one it gets by enrolling, which is
 * stored before this resolves. @throws TowlineError `usage` when nobody was named to approve; see {@link enrol}.
 */
export async function obtainCredential(parts: CredentialParts): Promise<DeviceCredential> {
  const { settings } = parts;
  const { files, givenKey } = settings;
  const kept = await files.apiKey();
  if (givenKey?.kind === 'device' && kept?.replaces !== keyIdOf(givenKey.text)) return { apiKey: givenKey.text, source: 'environment' };
  if (kept !== null) return { apiKey: checkKept(kept.text), source: 'kept' };
  const { apiKey, name, relayId, grantKeys } = await enrolAnew(parts);
  // The relay first: a key without the relay it is for would be taken for one that was put there by hand.
  await files.saveEnrolment({ url: settings.relay.origin, relayId, name, grantKeys });
  await files.saveApiKey({ text: apiKey });
  parts.emit({ event: 'enrolled', device: parts.identity.deviceId, name });
  return { apiKey, source: 'enrolled' };
}

/** Keeps a renewed key. Where the old one is in the environment, which nobody but its owner can change, it is noted as replaced. */
export async function keepRenewedKey({ files, givenKey }: Settings, apiKey: string): Promise<void> {
  await files.saveApiKey({ text: apiKey, replaces: givenKey?.kind === 'device' ? keyIdOf(givenKey.text) : undefined });
}

function keyIdOf(apiKey: string): string | undefined {
  return parseApiKey(apiKey)?.id;
}

function checkKept(apiKey: string): string {
  if (parseApiKey(apiKey)?.kind === 'device') return apiKey;
  throw new TowlineError('key_wrong_kind', 'credentials.json holds a device credential that is not the API key of a device.', {
    hint: 'Run `towline runtime logout`, then enrol the device again.',
  });
}

async function enrolAnew({ settings, identity, env, emit, warn, signal }: CredentialParts): Promise<Enrolled> {
  const { relay, trust, givenKey, owner, name } = settings;
  if (givenKey === undefined && owner === undefined) {
    throw new TowlineError('usage', 'The device is not enrolled, and nobody was named to approve it.', {
      hint: 'Give --email ADDRESS or --org ID once; or set TOWLINE_API_KEY to an enrolment key (twl_e_).',
    });
  }
  using api = createApiClient({
    relay,
    trust,
    userAgent: `towline-agent/${VERSION}`,
    environment: env,
    warn,
    ...(givenKey === undefined ? {} : { credential: { header: 'X-API-Key', value: givenKey.text } }),
  });
  return await enrol({ api, identity, name, owner, facts: deviceFacts(), emit, signal });
}
