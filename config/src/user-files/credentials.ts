import { isObject, type JsonFile, type JsonRecord, readJsonFile, updateJsonFile } from './json-file.ts';

/** Credentials of the person at this machine. Members that this version does not know are kept. */
export interface UserCredentials extends JsonRecord {
  readonly APIKey?: { readonly api_key: string };
  readonly OAuth2Token?: {
    readonly access_token: string;
    readonly refresh_token?: string /** Unix time, seconds. */;
    readonly expires_at?: number;
  };
}

/** Content of credentials.json. Members that this version does not know are kept. */
export interface Credentials extends JsonRecord {
  readonly credentials?: UserCredentials;
  /** Of the machine as a device; never mixed with those of the person. */
  readonly device_credentials?: { readonly api_key: string };
}

const CREDENTIALS_FILE: JsonFile<Credentials> = Object.freeze({ name: 'credentials.json', check: checkCredentials });

/** Reads credentials.json; an empty object when there is none. @throws TowlineError `credentials_unsafe`, `file_damaged`. */
export async function readCredentials(dir: string): Promise<Credentials> {
  return (await readJsonFile(dir, CREDENTIALS_FILE)) ?? {};
}

/**
 * Changes credentials.json under a lock that other processes honour, and answers with what is in it then.
 * Spread the present content into the new one, so that what this version does not know stays.
 */
export async function updateCredentials(
  dir: string,
  change: (present: Credentials) => Credentials | Promise<Credentials>,
): Promise<Credentials> {
  return (await updateJsonFile(dir, CREDENTIALS_FILE, (present) => change(present ?? {}))) ?? {};
}

function checkCredentials({ credentials, device_credentials: device }: JsonRecord): string | null {
  if (credentials !== undefined && !isObject(credentials)) return 'has "credentials" that are no object';
  if (device !== undefined && !hasText(device, 'api_key')) return 'has "device_credentials" without a text "api_key"';
  const { APIKey, OAuth2Token } = credentials ?? {};
  if (APIKey !== undefined && !hasText(APIKey, 'api_key')) return 'has an "APIKey" without a text "api_key"';
  return OAuth2Token === undefined || hasText(OAuth2Token, 'access_token') ? null : 'has an "OAuth2Token" without a text "access_token"';
}

function hasText(value: unknown, key: string): boolean {
  return isObject(value) && typeof value[key] === 'string' && value[key] !== '';
}
