import { isObject, type JsonFile, type JsonRecord, readJsonFile, updateJsonFile } from './json-file.ts';

/** Credentials of the person at this machine. Members that this version does not know are kept. */
export interface UserCredentials extends JsonRecord {
  readonly APIKey?: { readonly api_key: string };
  /** A token, and by whom it is renewed; without issuer and client it is used until it ends. */
  readonly OAuth2Token?: {
    readonly access_token: string;
    readonly refresh_token?: string;
    /** Unix time, seconds. */
    readonly expires_at?: number;
    /** The OpenID provider that issued it. */
    readonly issuer?: string;
    readonly client_id?: string;
    readonly scopes?: readonly string[];
    readonly audience?: string;
  };
  readonly Basic?: { readonly username: string; readonly password: string };
  /** Origin of the relay they are for. */
  readonly relay?: string;
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
 * Spread the present content into the new one, so that what this version does not know stays. Null leaves the file as it is.
 */
export async function updateCredentials(
  dir: string,
  change: (present: Credentials) => Credentials | null | Promise<Credentials | null>,
): Promise<Credentials> {
  return (await updateJsonFile(dir, CREDENTIALS_FILE, (present) => change(present ?? {}))) ?? {};
}

function checkCredentials({ credentials, device_credentials: device }: JsonRecord): string | null {
  if (credentials !== undefined && !isObject(credentials)) return 'has "credentials" that are no object';
  if (device !== undefined && !hasText(device, 'api_key')) return 'has "device_credentials" without a text "api_key"';
  const { APIKey, OAuth2Token, Basic, relay } = credentials ?? {};
  if (APIKey !== undefined && !hasText(APIKey, 'api_key')) return 'has an "APIKey" without a text "api_key"';
  if (relay !== undefined && typeof relay !== 'string') return 'has "credentials" with a "relay" that is no text';
  return checkToken(OAuth2Token) ?? checkBasic(Basic);
}

function checkToken(token: unknown): string | null {
  if (token === undefined) return null;
  if (!isObject(token) || !hasText(token, 'access_token')) return 'has an "OAuth2Token" without a text "access_token"';
  const texts = ['refresh_token', 'issuer', 'client_id', 'audience'];
  const wrong = texts.find((key) => token[key] !== undefined && !hasText(token, key));
  if (wrong !== undefined) return `has an "OAuth2Token" with a "${wrong}" that is no text`;
  if (token.expires_at !== undefined && !Number.isFinite(token.expires_at))
    return 'has an "OAuth2Token" with an "expires_at" that is no number';
  return isTexts(token.scopes) ? null : 'has an "OAuth2Token" with "scopes" that are no list of texts';
}

function checkBasic(basic: unknown): string | null {
  if (basic === undefined || (hasText(basic, 'username') && hasText(basic, 'password'))) return null;
  return 'has a "Basic" without a text "username" and a text "password"';
}

function isTexts(list: unknown): boolean {
  return list === undefined || (Array.isArray(list) && list.every((item) => typeof item === 'string'));
}

function hasText(value: unknown, key: string): boolean {
  return isObject(value) && typeof value[key] === 'string' && value[key] !== '';
}
