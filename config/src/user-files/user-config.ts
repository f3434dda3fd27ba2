import { type JsonFile, type JsonRecord, readJsonFile, updateJsonFile } from './json-file.ts';

/** Content of config.json: which relay, and how its certificate is trusted. Members that this version does not know are kept. */
export interface UserConfig extends JsonRecord {
  /** Origin of the relay, `https://HOST[:PORT]`. */
  readonly relay?: string;
  /** `sha256:<64 hex digits>` of the public key of the relay's CA. */
  readonly fingerprint?: string;
  /** PEM of the CA that signed the relay's certificate. */
  readonly ca?: string;
}

const USER_CONFIG_FILE: JsonFile<UserConfig> = Object.freeze({
  name: 'config.json',
  check: (content: JsonRecord) => {
    const wrong = ['relay', 'fingerprint', 'ca'].find((key) => content[key] !== undefined && typeof content[key] !== 'string');
    return wrong === undefined ? null : `has a "${wrong}" that is no text`;
  },
});

/** Reads config.json; an empty object when there is none. @throws TowlineError `credentials_unsafe`, `file_damaged`. */
export async function readUserConfig(dir: string): Promise<UserConfig> {
  return (await readJsonFile(dir, USER_CONFIG_FILE)) ?? {};
}

/** Changes config.json under a lock that other processes honour, and answers with what is in it then. */
export async function updateUserConfig(dir: string, change: (present: UserConfig) => UserConfig): Promise<UserConfig> {
  return (await updateJsonFile(dir, USER_CONFIG_FILE, (present) => change(present ?? {}))) ?? {};
}
