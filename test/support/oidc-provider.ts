import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import Provider, { type Account, type Configuration, type JWK } from 'oidc-provider';
import { makeTestPair } from '../../core/link/test/trust-certificates.ts';
import { createAdapter, type OidcStorage } from './oidc-adapter.ts';
import { type BrowserLogin, type BrowserPage, confirmInBrowser } from './oidc-browser.ts';
import { type DeviceTokens, loginByDeviceFlow, sendForm } from './oidc-device-login.ts';
import { answerWithFault, type OidcFault } from './oidc-faults.ts';

export { confirmInBrowser } from './oidc-browser.ts';

/** A person known to the provider. Whoever types `sub` at its login page is that person. */
export interface OidcAccount {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean | string;
  readonly name?: string;
  readonly preferred_username?: string;
  /** Further claims, put into access tokens, introspection answers and userinfo alike. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** How {@link startOidcProvider} starts a provider. */
export interface OidcProviderOptions {
  /** `127.0.0.1` by default; it listens there in any case. */
  readonly host?: '127.0.0.1' | 'localhost';
  readonly port?: number;
  readonly accounts?: readonly OidcAccount[];
  /** Id of the public client that people log in with; `towline` by default. */
  readonly clientId?: string;
  /** A refresh token works once, and its second use ends the login. On by default. */
  readonly rotateRefreshTokens?: boolean;
  /** `jwt` by default. */
  readonly accessTokens?: 'jwt' | 'opaque';
  /** `aud` of JWT access tokens. By default the resource that was asked for, else the client id, as one string. */
  readonly audience?: string | readonly string[];
  /** Whether access tokens carry `email` and `email_verified` by themselves; on by default. */
  readonly emailInTokens?: boolean;
  /** `RS256` by default. */
  readonly algorithm?: 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
  /** Seconds: access token 3,600, refresh token a day, device code 600 unless told. */
  readonly lifetimes?: { readonly accessToken?: number; readonly refreshToken?: number; readonly deviceCode?: number };
}

/** A running oidc-provider over TLS, in this process. */
export interface TestOidcProvider extends AsyncDisposable {
  /** Issuer, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** CA that its certificate is verified by. */
  readonly caPem: string;
  readonly clientId: string;
  /** A second public client, whose tokens are not for the first one. */
  readonly otherClientId: string;
  /** Confidential client that may introspect. */
  readonly introspection: { readonly client_id: string; readonly client_secret: string };
  /** Accounts by subject; to be changed while it runs. */
  readonly accounts: Map<string, OidcAccount>;
  /** Faults by path (`*`: all), to be changed while it runs. Paths: see {@link OIDC_PATHS}. */
  readonly faults: Map<string, OidcFault>;
  /** `METHOD PATH` of every request so far, in order. */
  readonly requests: string[];
  /** What happened inside, by the names that oidc-provider gives: `grant.success`, `grant.error`, `grant.revoked`, `refresh_token.consumed`, … */
  readonly events: string[];
  /** Private keys it signs with, the newest first. */
  signingKeys(): readonly JWK[];
  /** Signs with new keys from now on; the old ones are published no more unless `keepOld`. What was issued stays known. */
  rotateKeys(options?: { readonly keepOld?: boolean }): void;
  /** Sees to it that every refresh token, access token and grant is unknown from now on. */
  forgetTokens(): void;
  /** Stops listening and drops all connections. */
  stop(): Promise<void>;
  /** Listens again on the same port. */
  start(): Promise<void>;
  /** See {@link confirmInBrowser}; brings the CA along. */
  confirm(uri: string, who: BrowserLogin & { readonly code?: string }): Promise<BrowserPage>;
  /** Logs in by the device flow through the real pages and answers the tokens. */
  login(sub: string, options?: { readonly clientId?: string; readonly resource?: string; readonly scope?: string }): Promise<DeviceTokens>;
  /** Revokes a token of the public client. */
  revoke(token: string): Promise<void>;
  /** Posts a form to the token endpoint and answers status and body. */
  token(fields: Readonly<Record<string, string>>): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
}

/** Paths of the provider. */
export const OIDC_PATHS = Object.freeze({
  discovery: '/.well-known/openid-configuration',
  jwks: '/jwks',
  token: '/token',
  userinfo: '/me',
  introspection: '/token/introspection',
  revocation: '/token/revocation',
  deviceAuthorization: '/device/auth',
});

/** Resource of tokens for which none was asked. */
const DEFAULT_RESOURCE = 'urn:towline:relay';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const OTHER_CLIENT = 'another-app';
const EVENTS = [
  'grant.success',
  'grant.error',
  'grant.revoked',
  'refresh_token.consumed',
  'access_token.destroyed',
  'refresh_token.destroyed',
  'server_error',
];

/** Starts a provider. Whoever starts it disposes it. */
export async function startOidcProvider(options: OidcProviderOptions = {}): Promise<TestOidcProvider> {
  const { ca, leaf, chainPem } = makeTestPair();
  const { host = '127.0.0.1', clientId = 'towline' } = options;
  const state = {
    accounts: new Map((options.accounts ?? []).map((account) => [account.sub, account])),
    faults: new Map<string, OidcFault>(),
    requests: [] as string[],
    events: [] as string[],
    storage: new Map() as OidcStorage,
    introspection: { client_id: 'towline-relay', client_secret: randomBytes(24).toString('hex') },
    cookieKey: randomBytes(24).toString('hex'),
    keys: makeKeys(),
  };
  let handler: ReturnType<Provider['callback']> | undefined;
  const server = https.createServer({ key: leaf.keyPem, cert: chainPem }, (request, response) => {
    const path = new URL(request.url ?? '/', 'https://provider').pathname;
    state.requests.push(`${request.method} ${path}`);
    const fault = state.faults.get(path) ?? state.faults.get('*');
    if (fault === undefined) return void handler?.(request, response);
    answerWithFault(fault, request, response);
  });
  await listen(server, options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const url = `https://${host}:${port}`;
  const build = () => {
    const provider = new Provider(url, configure({ ...options, clientId }, state));
    for (const event of EVENTS) (provider as NodeJS.EventEmitter).on(event, () => state.events.push(event));
    handler = provider.callback();
  };
  build();
  const at = { url, caPem: ca.pem };
  const stop = async () => {
    if (!server.listening) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return {
    ...at,
    port,
    clientId,
    otherClientId: OTHER_CLIENT,
    introspection: state.introspection,
    accounts: state.accounts,
    faults: state.faults,
    requests: state.requests,
    events: state.events,
    signingKeys: () => state.keys,
    rotateKeys: ({ keepOld = false } = {}) => {
      state.keys = [...makeKeys(), ...(keepOld ? state.keys : [])];
      build();
    },
    forgetTokens: () => state.storage.clear(),
    stop,
    start: () => listen(server, port),
    confirm: (uri, who) => confirmInBrowser(uri, { ...who, caPem: ca.pem }),
    login: (sub, more) => loginByDeviceFlow(at, { sub, clientId, ...more }),
    revoke: async (token) => {
      const { status } = await sendForm(at, OIDC_PATHS.revocation, { token, client_id: clientId });
      if (status !== 200) throw new Error(`The token was not revoked: status ${status}.`);
    },
    token: (fields) => sendForm(at, OIDC_PATHS.token, fields),
    [Symbol.asyncDispose]: stop,
  };
}

async function listen(server: https.Server, port: number): Promise<void> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
}

/** One key of each kind that a relay may be asked to verify. */
function makeKeys(): JWK[] {
  const kid = randomBytes(6).toString('hex');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const ed = generateKeyPairSync('ed25519').privateKey;
  return [rsa, ec, ed].map((key) => {
    const jwk = key.export({ format: 'jwk' });
    return { ...jwk, kid: `${String(jwk.kty).toLowerCase()}-${kid}`, use: 'sig' } as JWK;
  });
}

interface ProviderState {
  readonly accounts: Map<string, OidcAccount>;
  readonly storage: OidcStorage;
  readonly introspection: { readonly client_id: string; readonly client_secret: string };
  readonly cookieKey: string;
  readonly keys: readonly JWK[];
}

function configure(options: OidcProviderOptions & { readonly clientId: string }, state: ProviderState): Configuration {
  const { rotateRefreshTokens = true, lifetimes = {} } = options;
  return {
    adapter: createAdapter(state.storage) as unknown as NonNullable<Configuration['adapter']>,
    clients: clients(options.clientId, state),
    cookies: { keys: [state.cookieKey] },
    jwks: { keys: [...state.keys] },
    scopes: ['openid', 'offline_access', 'email', 'profile'],
    claims: { openid: ['sub', ...claimNames(state)], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    findAccount: (_context, id) => findAccount(state, id),
    extraTokenClaims: (_context, token) =>
      tokenClaims(options, 'accountId' in token ? state.accounts.get(String(token.accountId)) : undefined),
    formats: { customizers: { jwt: (_context, _token, { payload }) => setAudience(payload, options.audience) } },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      introspection: { enabled: true, allowedPolicy: (_context, client) => client.clientId === state.introspection.client_id },
      resourceIndicators: resources(options),
    },
    rotateRefreshToken: () => rotateRefreshTokens,
    ttl: {
      AccessToken: lifetimes.accessToken ?? 3_600,
      RefreshToken: lifetimes.refreshToken ?? 86_400,
      DeviceCode: lifetimes.deviceCode ?? 600,
      IdToken: 3_600,
      Grant: 86_400,
      Interaction: 600,
      Session: 86_400,
    },
  };
}

function clients(clientId: string, { introspection }: ProviderState): NonNullable<Configuration['clients']> {
  const people = { token_endpoint_auth_method: 'none', grant_types: [DEVICE_GRANT, 'refresh_token'], application_type: 'native' } as const;
  const nothing = { redirect_uris: [], response_types: [] };
  return [
    { ...nothing, ...people, grant_types: [...people.grant_types], client_id: clientId, client_name: 'Towline' },
    { ...nothing, ...people, grant_types: [...people.grant_types], client_id: OTHER_CLIENT },
    { ...nothing, ...introspection, grant_types: [] },
  ];
}

function resources({ accessTokens = 'jwt', audience, algorithm = 'RS256', clientId }: OidcProviderOptions & { readonly clientId: string }) {
  const audienceOf = (resource: string) => [audience].flat()[0] ?? (resource === DEFAULT_RESOURCE ? clientId : resource);
  return {
    enabled: true,
    defaultResource: (_context: unknown, _client: unknown, oneOf?: string[]) =>
      oneOf?.[0] ?? (accessTokens === 'jwt' ? DEFAULT_RESOURCE : (undefined as never)),
    useGrantedResource: () => true,
    getResourceServerInfo: (_context: unknown, resource: string) => ({
      scope: 'openid email profile offline_access',
      audience: audienceOf(resource),
      accessTokenFormat: accessTokens,
      jwt: { sign: { alg: algorithm } },
    }),
  } as NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>;
}

/** The provider itself knows one text only; many others issue a list. */
function setAudience(payload: Record<string, unknown>, audience: OidcProviderOptions['audience']): void {
  if (Array.isArray(audience)) payload.aud = [...audience];
}

/** Names of the accounts' further claims at this moment. */
function claimNames({ accounts }: ProviderState): string[] {
  return [...new Set([...accounts.values()].flatMap(({ claims = {} }) => Object.keys(claims)))];
}

function findAccount({ accounts }: ProviderState, id: string): Account | undefined {
  if (!accounts.has(id)) return undefined;
  return {
    accountId: id,
    claims: () => {
      const { claims, ...own } = accounts.get(id) ?? { sub: id };
      return { ...own, ...claims, sub: own.sub } as never;
    },
  };
}

function tokenClaims({ emailInTokens = true }: OidcProviderOptions, account: OidcAccount | undefined): Record<string, never> {
  const { email, email_verified, claims } = account ?? {};
  return { ...(emailInTokens ? { email, email_verified } : {}), ...claims } as Record<string, never>;
}
