import { readFile } from 'node:fs/promises';
import { readUserConfig, type UserConfig, userFolder } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';
import { parseCertificates, parseFingerprint, parseRelayUrl } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import type { Host } from '../host.ts';
import { shown } from '../output/terminal-text.ts';

/** Which relay is meant, how it is trusted, and where the user's files are. */
export interface RelaySettings {
  readonly url: URL;
  readonly trust: TrustSettings;
  /** Folder of the user's files, of the chosen profile. */
  readonly dir: string;
  readonly config: UserConfig;
}

/**
 * Finds the relay: --relay, then TOWLINE_RELAY, then the one logged in to. What was stored to trust a relay is
 * applied to that relay only.
 * @throws TowlineError `usage` when no relay is set anywhere.
 */
export async function readRelaySettings({ globals, host }: Context): Promise<RelaySettings> {
  const dir = userFolder({ env: host.env, profile: globals.profile });
  const config = await readUserConfig(dir);
  const text = globals.relay ?? (host.env.TOWLINE_RELAY || config.relay);
  if (text === undefined) throw noRelay();
  const url = parseRelayUrl(text);
  return { url, dir, config, trust: (await trustOfEnvironment(host.env)) ?? storedTrust(config, url) };
}

/** Whether a stored URL names the same relay. */
export function isSameRelay(stored: string | undefined, url: URL): boolean {
  return stored !== undefined && parseRelayUrl(stored).origin === url.origin;
}

/** What the environment says about trust; undefined when it says nothing. */
export async function trustOfEnvironment(env: Host['env']): Promise<TrustSettings | undefined> {
  if (trustsInvalid(env)) return { trustInvalid: true };
  if (env.TOWLINE_TLS_FINGERPRINT) return { fingerprint: parseFingerprint(env.TOWLINE_TLS_FINGERPRINT) };
  if (env.TOWLINE_CA_FILE) return { ca: await readCaFile(env.TOWLINE_CA_FILE, 'TOWLINE_CA_FILE') };
  return undefined;
}

/** Certificates of a private CA. `setting` is named in errors. @throws TowlineError `config_invalid`. */
export async function readCaFile(path: string, setting: string): Promise<string> {
  let pem: string;
  try {
    pem = await readFile(path, 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new TowlineError('config_invalid', `${setting} names ${shown(path)}, which cannot be read (${code}).`, {
      hint: 'Give the path of the CA certificate in PEM form; the relay keeps its own as ca.pem in its data folder.',
      cause,
    });
  }
  parseCertificates(pem, setting);
  return pem;
}

function storedTrust(config: UserConfig, url: URL): TrustSettings {
  if (!isSameRelay(config.relay, url)) return {};
  if (config.fingerprint !== undefined) return { fingerprint: parseFingerprint(config.fingerprint) };
  return config.ca === undefined ? {} : { ca: config.ca };
}

/** Only a clear yes switches the check off, and what is neither yes nor no is not guessed at. */
function trustsInvalid(env: Host['env']): boolean {
  const name = env.TOWLINE_TRUST_INVALID_CERT === undefined ? 'M87_TRUST_INVALID_CERT' : 'TOWLINE_TRUST_INVALID_CERT';
  const value = env[name] ?? '';
  if (/^(true|1)$/i.test(value)) return true;
  if (/^(false|0|)$/i.test(value)) return false;
  throw new TowlineError('config_invalid', `${name} is “${shown(value, 40)}”, where true or false is expected.`, {
    hint: 'Unset it: certificates are then validated. For a private CA use --ca FILE or --fingerprint.',
  });
}

function noRelay(): TowlineError {
  return new TowlineError('usage', 'No relay is set.', {
    hint: 'Run `towline login --relay https://HOST[:PORT]`, or give --relay or TOWLINE_RELAY.',
  });
}
