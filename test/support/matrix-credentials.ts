import type { CreatedKeyView, MeView, TokenView } from '@towline/contract';
import { emailOf, PRINCIPAL_NAMES, type PrincipalName, rowOf } from '../matrix/principals.ts';
import { createKey } from './keys.ts';
import { type MatrixSystem, PASSWORD } from './matrix-system.ts';
import { bodyOf } from './relay-api.ts';

/** What a credential is sent as; null: nothing is sent. */
export type SentCredential = { readonly header: 'X-API-Key' | 'Authorization'; readonly value: string } | null;

/** The credential of somebody, and what belongs to it. */
export interface MatrixCredential {
  readonly sent: SentCredential;
  /** The login behind a key or a token, by which its user can make keys; null where there is none. */
  readonly login: SentCredential;
  readonly keyId?: string;
}

/** Headers of a request. */
export function headersOf(sent: SentCredential): Record<string, string> {
  return sent === null ? {} : { [sent.header.toLowerCase()]: sent.value };
}

/** What making credentials works with. */
export interface CredentialParts extends Pick<MatrixSystem, 'system' | 'relay' | 'provider' | 'api'> {
  /** Devices whose own key and owner the principals are about. */
  readonly devices: { readonly own: ReadonlyMap<PrincipalName, string>; readonly ofDeviceKey: { readonly apiKey: string } };
}

/** Makes everybody's credential by the way that their row says. */
export async function createCredentials(parts: CredentialParts): Promise<ReadonlyMap<PrincipalName, MatrixCredential>> {
  const made = new Map<PrincipalName, MatrixCredential>();
  // One after the other: some are processes, some log in through pages.
  for (const name of PRINCIPAL_NAMES) made.set(name, await createCredential(parts, name));
  return made;
}

/** Makes one more key of the user of a rescue key, as the rescue command does. */
export function createRescueKey({ system, relay }: Pick<CredentialParts, 'system' | 'relay'>, name: PrincipalName) {
  const { acme } = rowOf(name).holds ?? {};
  const scope = acme === undefined ? [] : ['--scope', 'org:acme', '--role', acme];
  return createKey(system, relay, ['--email', emailOf(name)!, ...scope]);
}

/** Makes a key by the API. */
export async function createOwnKey({ api }: Pick<CredentialParts, 'api'>, login: SentCredential, limits: object): Promise<CreatedKeyView> {
  return bodyOf(await api.call('POST', '/v1/keys', { headers: headersOf(login), body: { name: 'made by a login', ...limits } }), 201);
}

/** Who the relay takes a credential for. */
export async function whoIs({ api }: Pick<CredentialParts, 'api'>, sent: SentCredential): Promise<MeView> {
  return bodyOf(await api.call('GET', '/v1/me', { headers: headersOf(sent) }));
}

async function createCredential(parts: CredentialParts, name: PrincipalName): Promise<MatrixCredential> {
  const { relay, devices, system } = parts;
  const { by } = rowOf(name);
  if (by === 'nothing') return { sent: null, login: null };
  if (by === 'device key') return withKey(devices.ofDeviceKey.apiKey);
  if (by === 'enrolment key') return withKey((await createKey(system, relay, ['--enrol', '--org', 'acme'])).key);
  if (by === 'admin key') return withKey(relay.adminKey);
  if (by === 'rescue key' || by === 'jwt of a rescue key') {
    const credential = withKey((await createRescueKey(parts, name)).key);
    return by === 'rescue key' ? credential : { ...credential, sent: await exchange(parts, credential.sent) };
  }
  const login = by === 'oidc' ? await oidcLogin(parts, name) : basicLogin(name);
  if (by === 'oidc' || by === 'basic') {
    await whoIs(parts, login);
    return { sent: login, login };
  }
  if (by === 'jwt') return { sent: await exchange(parts, login), login };
  return { ...withKey((await createOwnKey(parts, login, limitsOf(parts, name))).key), login };
}

function withKey(key: string): MatrixCredential {
  return { sent: { header: 'X-API-Key', value: key }, login: null, keyId: key.split('_')[2]! };
}

function limitsOf({ devices }: CredentialParts, name: PrincipalName): object {
  const { limit } = rowOf(name);
  if (limit === undefined) return {};
  return limit === 'exec' ? { streams: ['exec'] } : { devices: [devices.own.get(name)] };
}

function basicLogin(name: PrincipalName): SentCredential {
  const text = `${rowOf(name).person}:${PASSWORD}`;
  return { header: 'Authorization', value: `Basic ${Buffer.from(text).toString('base64')}` };
}

async function oidcLogin({ provider }: CredentialParts, name: PrincipalName): Promise<SentCredential> {
  const { access_token } = await provider.login(rowOf(name).person!);
  return { header: 'Authorization', value: `Bearer ${access_token}` };
}

async function exchange({ api }: CredentialParts, sent: SentCredential): Promise<SentCredential> {
  const { token } = bodyOf<TokenView>(await api.call('POST', '/v1/auth/token', { headers: headersOf(sent) }));
  return { header: 'Authorization', value: `Bearer ${token}` };
}
