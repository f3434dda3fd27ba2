import { type Credentials, type UserCredentials, updateCredentials, updateUserConfig } from '@towline/config/user-files';
import type { TrustSettings } from '@towline/contract';

/** A login that was checked and is to be kept. */
export interface Login {
  /** Folder of the user's files. */
  readonly dir: string;
  readonly url: URL;
  readonly trust: TrustSettings;
  readonly credentials: UserCredentials;
}

/**
 * Keeps a login. The credential is stored with the relay it is for, and last: whatever is interrupted, none is ever noted
 * beside a relay that it does not belong to.
 */
export async function storeLogin({ dir, url, trust, credentials }: Login): Promise<void> {
  await forgetLogin(dir);
  await updateUserConfig(dir, ({ fingerprint: _oldPin, ca: _oldCa, ...present }) => ({
    ...present,
    relay: url.origin,
    ...(trust.fingerprint === undefined ? {} : { fingerprint: trust.fingerprint }),
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
  }));
  await updateCredentials(dir, (present) => ({ ...present, credentials: { ...credentials, relay: url.origin } }));
}

/** Removes the credentials of the user, not those of the machine as a device. Answers what was removed; undefined: there were none. */
export async function forgetLogin(dir: string): Promise<UserCredentials | undefined> {
  let found: UserCredentials | undefined;
  await updateCredentials(dir, (present) => {
    const { credentials, ...others }: Credentials = present;
    found = credentials;
    return others;
  });
  return (found?.APIKey ?? found?.OAuth2Token ?? found?.Basic) === undefined ? undefined : found;
}
