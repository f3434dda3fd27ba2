import { type ApiClient, createApiClient } from '@towline/link';
import type { Context } from '../context.ts';
import { readVersion } from '../version.ts';
import { chooseCredential, type UserCredential } from './credential.ts';
import { type RelaySettings, readRelaySettings } from './settings.ts';

/** Access to the relay as the user. */
export interface RelayAccess extends Disposable {
  readonly url: URL;
  readonly settings: RelaySettings;
  readonly credential: UserCredential;
  readonly api: ApiClient;
}

/** Finds relay and credential and makes a client of the API; nothing is sent yet. */
export async function openRelay(context: Context): Promise<RelayAccess> {
  const settings = await readRelaySettings(context);
  const credential = await chooseCredential(context.host.env, settings);
  context.output.detail(
    `relay ${settings.url.origin}, credential from ${credential.source === 'login' ? settings.dir : 'the environment'}`,
  );
  const api = createClient(context, settings, credential);
  return { url: settings.url, settings, credential, api, [Symbol.dispose]: () => api[Symbol.dispose]() };
}

/** A client of the API, with a credential or without. Warnings about unverified certificates go to stderr. */
export function createClient(context: Context, settings: Pick<RelaySettings, 'url' | 'trust'>, credential?: UserCredential): ApiClient {
  return createApiClient({
    relay: settings.url,
    trust: settings.trust,
    userAgent: `towline/${readVersion()}`,
    environment: context.host.env,
    warn: (text) => context.output.note(text),
    ...(credential === undefined ? {} : { credential: { header: credential.header, value: credential.value } }),
  });
}
