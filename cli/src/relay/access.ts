import { type ApiClient, createApiClient, type RelayCredential } from '@towline/link';
import type { Context } from '../context.ts';
import { RENEW_BEFORE_MS } from '../provider/token.ts';
import { readVersion } from '../version.ts';
import { chooseCredential, type RenewOptions, type UserCredential } from './credential.ts';
import { type RelaySettings, readRelaySettings } from './settings.ts';

/** Access to the relay as the user. */
export interface RelayAccess extends Disposable {
  readonly url: URL;
  readonly settings: RelaySettings;
  readonly credential: UserCredential;
  readonly api: ApiClient;
}

/** Finds relay and credential and makes a client of the API; nothing is sent to the relay yet. */
export async function openRelay(context: Context): Promise<RelayAccess> {
  const settings = await readRelaySettings(context);
  const credential = await chooseCredential(context.host.env, settings, renewOptions(context));
  context.output.detail(
    `relay ${settings.url.origin}, credential from ${credential.source === 'login' ? settings.dir : 'the environment'}`,
  );
  const api = credential.renewable ? renewingClient(context, settings, credential) : createClient(context, settings, credential);
  return { url: settings.url, settings, credential, api, [Symbol.dispose]: () => api[Symbol.dispose]() };
}

/** How a command renews a token. */
export function renewOptions({ host, output }: Context): RenewOptions {
  return { signal: host.signal, now: () => host.now(), warn: (text) => output.note(text) };
}

/** A client that renews its token before each request for which it would be too old: a command may run for long. */
function renewingClient(context: Context, settings: RelaySettings, first: UserCredential): ApiClient {
  let credential = first;
  let client = createClient(context, settings, first);
  const current = async () => {
    const found =
      credential.endsAt - context.host.now() < RENEW_BEFORE_MS
        ? await chooseCredential(context.host.env, settings, renewOptions(context))
        : credential;
    if (found.value === credential.value) return client;
    // What is under way with the old one has its answer, or ends with the command.
    replaced.push(client);
    credential = found;
    client = createClient(context, settings, found);
    return client;
  };
  const replaced: ApiClient[] = [];
  return {
    request: async (method, path, extras) => (await current()).request(method, path, extras),
    list: async function* (path, extras) {
      yield* (await current()).list(path, extras) as AsyncGenerator<never, void, undefined>;
    },
    [Symbol.dispose]: () => {
      for (const each of [client, ...replaced]) each[Symbol.dispose]();
    },
  };
}

/** A client of the API, with a credential or without. Warnings about unverified certificates go to stderr. */
export function createClient(
  context: Context,
  settings: Pick<RelaySettings, 'url' | 'trust'>,
  credential?: RelayCredential & { readonly source?: string },
): ApiClient {
  return createApiClient({
    relay: settings.url,
    trust: settings.trust,
    userAgent: `towline/${readVersion()}`,
    environment: context.host.env,
    warn: (text) => context.output.note(text),
    ...(credential === undefined ? {} : { credential: { header: credential.header, value: credential.value } }),
  });
}
