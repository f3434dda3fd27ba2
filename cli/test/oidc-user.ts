import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UserCredentials } from '@towline/config/user-files';
import { type OidcProviderOptions, startOidcProvider, type TestOidcProvider } from '../../test/support/oidc-provider.ts';
import { failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, type Outcome, type RunExtras, type User } from './run-cli.ts';
import { meView } from './views.ts';

/** Time for one run, milliseconds: a device flow asks every five seconds. */
const DEADLINE_MS = 40_000;

/** A user, a real identity provider, and a peer in the place of the relay that takes every bearer token but those refused. */
export interface OidcUser extends AsyncDisposable {
  readonly user: User;
  readonly provider: TestOidcProvider;
  readonly peer: RelayPeer;
  readonly env: Record<string, string>;
  /** Starts the program and waits until it shows the page with the code. */
  startLogin(args?: readonly string[], extra?: RunExtras): Promise<StartedLogin>;
  /** Logs in as alice through the provider's pages. */
  login(): Promise<Outcome>;
  run(args: readonly string[], extra?: RunExtras): Promise<Outcome>;
  stored(): Promise<UserCredentials>;
  /** Changes what is stored of the token. */
  change(members: Record<string, unknown>): Promise<void>;
}

/** A login that waits for its code to be confirmed. */
export interface StartedLogin {
  readonly directUrl: string;
  readonly stderr: () => string;
  readonly interrupt: () => void;
  readonly finished: Promise<Outcome>;
}

/** Starts all of it; `me` answers GET /v1/me for a bearer token. */
export async function makeOidcUser(
  options: OidcProviderOptions = {},
  me = (_request: SeenRequest) => meView({ key_id: null }),
): Promise<OidcUser> {
  const provider = await startOidcProvider({
    accounts: [{ sub: 'alice', email: 'alice@example.com', email_verified: true }],
    ...options,
  });
  const user = await makeUser();
  const method = {
    method: 'device_flow',
    label: 'Example ID',
    issuer: provider.url,
    client_id: provider.clientId,
    scopes: ['openid', 'offline_access', 'email'],
  };
  const peer = await startPeer((request) => {
    if (request.path === '/v1/login-methods') return list([method]);
    if (!request.headers.authorization?.startsWith('Bearer ')) return failure(401, 'unauthenticated', 'Who are you?');
    const view = me(request);
    return 'kind' in view ? { json: view } : failure(401, 'token_invalid', 'The token was not issued for this relay.');
  });
  const ca = join(user.dir, '..', 'provider-ca.pem');
  await writeFile(ca, provider.caPem);
  const env = { NODE_EXTRA_CA_CERTS: ca };
  const file = join(user.dir, 'credentials.json');
  const stored = async () => (JSON.parse(await readFile(file, 'utf8')) as { credentials: UserCredentials }).credentials;
  const start = (args: readonly string[], extra: RunExtras = {}) => {
    const child = user.start(args, { ...extra, env: { ...env, ...extra.env } });
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => (texts[name] += text));
    child.stdin.on('error', () => undefined);
    child.stdin.end(extra.input ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    const finished = once(child, 'close').then(([code]) => {
      clearTimeout(timer);
      return { code: code as number | null, ...texts };
    });
    return { child, texts, finished };
  };
  const startLogin: OidcUser['startLogin'] = async (args = ['login', '--relay', peer.url], extra = {}) => {
    const { child, texts, finished } = start(args, extra);
    let ended = false;
    void finished.then(() => (ended = true));
    let url: string | undefined;
    while (url === undefined) {
      url = /(https:\S+user_code=\S+)\s/.exec(texts.stderr)?.[1];
      if (ended) throw new Error(`no code was shown: ${texts.stderr}`);
      await new Promise((later) => setTimeout(later, 20));
    }
    return { directUrl: url, stderr: () => texts.stderr, interrupt: () => child.kill('SIGINT'), finished };
  };
  return {
    user,
    provider,
    peer,
    env,
    startLogin,
    login: async () => {
      const started = await startLogin();
      await provider.confirm(started.directUrl, { login: 'alice' });
      return started.finished;
    },
    run: (args, extra) => start(args, extra).finished,
    stored,
    change: async (members) => {
      const credentials = await stored();
      const changed = { ...credentials, OAuth2Token: { ...credentials.OAuth2Token, ...members } };
      await writeFile(file, JSON.stringify({ credentials: changed }), { mode: 0o600 });
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
      await user[Symbol.asyncDispose]();
    },
  };
}
