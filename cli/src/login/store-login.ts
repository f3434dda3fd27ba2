import { type Credentials, updateCredentials, updateUserConfig } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';

/** A login that was checked and is to be kept. */
export interface Login {
  /** Folder of the user's files. */
  readonly dir: string;
  readonly url: URL;
  readonly trust: TrustSettings;
  readonly apiKey: string;
}

/**
 * Keeps a login. The key is stored with the relay it is for, and last: whatever is interrupted, no key is ever
 * noted beside a relay that it does not belong to.
 */
export async function storeLogin({ dir, url, trust, apiKey }: Login): Promise<void> {
  await forgetLogin(dir);
  await updateUserConfig(dir, ({ fingerprint: _oldPin, ca: _oldCa, ...present }) => ({
    ...present,
    relay: url.origin,
    ...(trust.fingerprint === undefined ? {} : { fingerprint: trust.fingerprint }),
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
  }));
  await updateCredentials(dir, (present) => ({ ...present, credentials: { APIKey: { api_key: apiKey }, relay: url.origin } }));
}

/** Removes the credentials of the user, not those of the machine as a device. Answers whether there were any. */
export async function forgetLogin(dir: string): Promise<boolean> {
  let found = false;
  await updateCredentials(dir, (present) => {
    const { credentials, ...others }: Credentials = present;
    found = credentials?.APIKey !== undefined || credentials?.OAuth2Token !== undefined;
    return others;
  });
  return found;
}
