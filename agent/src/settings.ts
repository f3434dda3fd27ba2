import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { type DeviceConfig, loadDeviceConfig } from '@towline/config/device';
import { apiKeyOfEnvironment, type Environment, readUserConfig, userFolder } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';
import { parseRelayUrl } from '@towline/link';
import { deviceNameFault, parseApiKey, type Scope, TowlineError } from '@towline/protocol';
import { DeviceFiles, type Enrolment } from './identity.ts';
import { allowFault, BUILT_IN_STREAMS } from './streams.ts';
import { readTransportChoice, TRANSPORT_CHOICES, type TransportChoice } from './transports.ts';

/** Targets of forwards where device.yaml lists none: the device itself. */
const DEFAULT_ALLOW: readonly string[] = Object.freeze(['localhost:*']);

/** What is typed behind `run` and `login`. */
export interface RunOptions {
  readonly relay?: string;
  readonly email?: string;
  readonly org?: string;
  readonly name?: string;
  readonly runAs?: string;
  readonly transport?: string;
  readonly fingerprint?: string;
  /** Path of a file with certificates. */
  readonly ca?: string;
  readonly profile?: string;
  readonly json?: boolean;
}

/** An API key of the environment, by what it is for. */
export interface GivenKey {
  readonly kind: 'device' | 'enrolment';
  readonly text: string;
}

/** What a runtime goes by, from the command line, the environment, device.yaml and what is kept, in this order. */
export interface Settings {
  readonly files: DeviceFiles;
  readonly relay: URL;
  readonly trust: TrustSettings;
  readonly transport: TransportChoice;
  readonly owner: Scope | undefined;
  readonly name: string;
  readonly streams: readonly string[];
  /** Targets of forwards that are allowed. */
  readonly allow: readonly string[];
  readonly runAs: string | undefined;
  readonly maxSessions: number;
  readonly maxConnections: number;
  readonly givenKey: GivenKey | undefined;
}

/** The folder of a runtime's files. @throws TowlineError `usage` for a name that is no profile's. */
export function filesOf(env: Environment, profile: string | undefined): DeviceFiles {
  return new DeviceFiles(userFolder({ env, profile }));
}

/** Gathers the settings. @throws TowlineError `usage`, `config_invalid`, `relay_url`, `key_wrong_kind`, `conflict`. */
export async function loadSettings(options: RunOptions, env: Environment): Promise<Settings> {
  checkOptions(options);
  const files = filesOf(env, options.profile);
  const config = await loadDeviceConfig({ dir: files.dir, env, flags: flagsOf(options) });
  checkStreams(config);
  await checkAllow(config);
  const givenKey = readGivenKey(env);
  const enrolment = await files.enrolment();
  const relay = await chooseRelay(config, enrolment, files);
  return {
    files,
    relay,
    transport: await chooseTransport(options, files),
    trust: { ...(await chooseTrust({ options, env, relay, files })), ...trustAnything(env) },
    owner: config.owner,
    name: chooseName(config),
    streams: config.streams,
    allow: config.allow ?? DEFAULT_ALLOW,
    runAs: config.runAs,
    maxSessions: config.limits.sessions,
    maxConnections: config.limits.connections,
    givenKey,
  };
}

function checkOptions({ email, org }: RunOptions): void {
  if (email !== undefined && org !== undefined) throw new TowlineError('usage', 'Give --email or --org, not both.');
}

function flagsOf({ relay, email, org, name, runAs }: RunOptions) {
  const owner = email ?? (org === undefined ? undefined : `org:${org}`);
  return {
    ...(relay === undefined ? {} : { relay: parseRelayUrl(relay).origin }),
    ...(owner === undefined ? {} : { owner }),
    ...(name === undefined ? {} : { name }),
    ...(runAs === undefined ? {} : { runAs }),
  };
}

function checkStreams(config: DeviceConfig): void {
  const at = config.streams.findIndex((name) => !BUILT_IN_STREAMS.includes(name));
  if (at >= 0) throw entryFault(config, ['streams', at], { expected: `one of ${BUILT_IN_STREAMS.join(', ')}`, found: config.streams[at]! });
}

async function checkAllow(config: DeviceConfig): Promise<void> {
  for (const [at, entry] of (config.allow ?? []).entries()) {
    const fault = await allowFault(entry);
    if (fault !== null) throw entryFault(config, ['allow', at], { expected: `a target that is allowed (${fault})`, found: entry });
  }
}

function entryFault(config: DeviceConfig, path: readonly [string, number], about: { expected: string; found: string }): TowlineError {
  const { file, line, expected } = config.faultAt(path, about.expected);
  const place = line === undefined ? file : `${file}:${line}`;
  return new TowlineError('config_invalid', `${place}: ${path[0]}[${path[1]}]: expected ${expected}, found "${about.found}".`);
}

function readGivenKey(env: Environment): GivenKey | undefined {
  const text = apiKeyOfEnvironment(env);
  if (text === undefined) return undefined;
  const kind = parseApiKey(text)?.kind;
  if (kind === 'device' || kind === 'enrolment') return { kind, text };
  if (kind === 'user') {
    throw new TowlineError('key_wrong_kind', 'TOWLINE_API_KEY holds the key of a user, where a runtime needs that of a device.', {
      hint: 'Set it to a twl_e_ key to enrol this device by, or to its own twl_d_ key; or unset it and wait for approval.',
    });
  }
  throw new TowlineError('unauthenticated', 'TOWLINE_API_KEY does not hold the text of an API key.', {
    hint: 'Copy the whole key, twl_ included, without quotes or spaces.',
  });
}

async function chooseRelay(config: DeviceConfig, enrolment: Enrolment | null, files: DeviceFiles): Promise<URL> {
  const known = enrolment?.url ?? (await files.trust())?.url ?? (await readUserConfig(files.dir)).relay;
  const text = config.relay ?? known;
  if (text === undefined) {
    throw new TowlineError('usage', 'The relay is not known.', {
      hint: 'Give --relay https://HOST[:PORT] once, set TOWLINE_RELAY, or write it into device.yaml.',
    });
  }
  const relay = parseRelayUrl(text);
  if (enrolment === null || relay.origin === enrolment.url) return relay;
  throw new TowlineError('conflict', `The device is enrolled at ${enrolment.url}, and ${relay.origin} was given.`, {
    hint: 'To move it, run `towline runtime logout` first, then enrol it at the other relay; to stay, leave the URL out.',
  });
}

/** What is typed, else what was said when the device was enrolled. A kept one that is none counts as unsaid. */
async function chooseTransport({ transport }: RunOptions, files: DeviceFiles): Promise<TransportChoice> {
  if (transport !== undefined) return readTransportChoice(transport);
  const kept = await files.transport();
  return TRANSPORT_CHOICES.find((choice) => choice === kept) ?? 'auto';
}

interface TrustSources {
  readonly options: RunOptions;
  readonly env: Environment;
  readonly relay: URL;
  readonly files: DeviceFiles;
}

/** What is given wins over what is kept, as a whole: a kept pin must not overrule a CA that was just given. */
async function chooseTrust({ options, env, relay, files }: TrustSources): Promise<TrustSettings> {
  const fingerprint = options.fingerprint ?? (options.ca === undefined ? env.TOWLINE_TLS_FINGERPRINT : undefined);
  if (fingerprint) return { fingerprint };
  const caFile = options.ca ?? env.TOWLINE_CA_FILE;
  if (caFile) return { ca: await readCa(caFile) };
  const kept = await files.trust();
  if (kept?.url === relay.origin) return kept.trust;
  const { relay: usersRelay, fingerprint: usersPin, ca } = await readUserConfig(files.dir);
  if (usersRelay !== relay.origin) return {};
  return { ...(usersPin === undefined ? {} : { fingerprint: usersPin }), ...(ca === undefined ? {} : { ca }) };
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new TowlineError(
      'usage',
      `The file ${path} of the CA cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
      {
        hint: 'Give the path of a PEM file, as the relay keeps at DIR/ca.pem.',
        cause,
      },
    );
  }
}

function trustAnything(env: Environment): TrustSettings {
  return (env.TOWLINE_TRUST_INVALID_CERT ?? env.M87_TRUST_INVALID_CERT) === 'true' ? { trustInvalid: true } : {};
}

/** The name given, which was checked with the rest of the configuration, else the host name as far as it can be one. */
function chooseName({ name }: DeviceConfig): string {
  if (name !== undefined) return name;
  if (deviceNameFault(hostname()) === null) return hostname();
  return `device-${
    hostname()
      .replace(/[^A-Za-z0-9]+/g, '')
      .slice(0, 40) || 'unnamed'
  }`;
}
