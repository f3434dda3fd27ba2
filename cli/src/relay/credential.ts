import { apiKeyOfEnvironment, readCredentials } from '@towline/config/user-files';
import type { RelayCredential } from '@towline/link';
import { API_KEY_PREFIX, parseApiKey, TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { isSameRelay, type RelaySettings } from './settings.ts';

/** A credential and where it comes from. */
export interface UserCredential extends RelayCredential {
  readonly source: 'environment' | 'login';
}

/**
 * The credential of the user: that of the environment, else the stored one if it was stored for this very relay.
 * @throws TowlineError `unauthenticated`, `key_wrong_kind`.
 */
export async function chooseCredential(env: Host['env'], settings: RelaySettings): Promise<UserCredential> {
  const given = apiKeyOfEnvironment(env);
  if (given !== undefined)
    return { source: 'environment', header: 'X-API-Key', value: requireUserKey(given, 'The key in the environment') };
  return { source: 'login', header: 'X-API-Key', value: requireUserKey(await storedKey(settings), 'The stored key') };
}

/**
 * Refuses a key that is none of a user, before it is sent anywhere. Keys of other forms pass: an auth plugin may have its own.
 * @throws TowlineError `key_wrong_kind`, `unauthenticated` for the torso of a key of ours or what no header can carry.
 */
export function requireUserKey(text: string, which: string): string {
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) {
    throw new TowlineError(
      'unauthenticated',
      `${which} is not an API key: it is empty, too long, or holds spaces or other odd characters.`,
      {
        hint: 'Copy it again as a whole, without quotes or line breaks.',
      },
    );
  }
  if (!text.startsWith(API_KEY_PREFIX)) return text;
  const kind = /^twl_([de])_/.exec(text)?.[1];
  if (kind !== undefined) {
    throw new TowlineError(
      'key_wrong_kind',
      `${which} is that of ${kind === 'd' ? 'a device' : 'an enrolment'}, not of a user. It was not sent.`,
    );
  }
  if (parseApiKey(text) !== null) return text;
  throw new TowlineError('unauthenticated', `${which} is not whole: keys of users are twl_u_ with 16 and 64 hex digits.`, {
    hint: 'Copy it again as a whole.',
  });
}

async function storedKey({ dir, config, url }: RelaySettings): Promise<string> {
  const { credentials } = await readCredentials(dir);
  const key = credentials?.APIKey?.api_key;
  const hint = `Run \`towline login --relay ${url.origin}\`, or set TOWLINE_API_KEY.`;
  if (key === undefined) throw new TowlineError('unauthenticated', `Not logged in to ${url.origin}.`, { hint });
  const storedFor = typeof credentials?.relay === 'string' ? credentials.relay : config.relay;
  if (isSameRelay(storedFor, url)) return key;
  throw new TowlineError(
    'unauthenticated',
    `Not logged in to ${url.origin}: the stored login is for ${storedFor ?? 'a relay that is not noted'}.`,
    {
      hint,
    },
  );
}
