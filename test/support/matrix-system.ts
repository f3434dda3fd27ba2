import { randomBytes, scryptSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emailOf, PRINCIPAL_NAMES, type PrincipalName, rowOf } from '../matrix/principals.ts';
import { createKey } from './keys.ts';
import { startOidcProvider, type TestOidcProvider } from './oidc-provider.ts';
import { openApi, type RelayApi } from './relay-api.ts';
import { startRelayOn } from './relay-process.ts';
import { createSystem, type TestRelay, type TestSystem } from './system.ts';

/** Password of everybody who logs in by basic auth. */
export const PASSWORD = 'three lanterns on the quay';
/** What hashing costs (RFC 7914): the least that is accepted, for the tests are about rights. */
const COST = Object.freeze({ N: 16_384, r: 8, p: 1 });
/** Routes that anyone can call are limited by address: calls are spread over so many of them. */
const ADDRESSES = 8;

/** A relay that knows every kind of credential, and the provider that it trusts. */
export interface MatrixSystem extends AsyncDisposable {
  readonly system: TestSystem;
  readonly relay: TestRelay;
  readonly provider: TestOidcProvider;
  readonly api: RelayApi;
  /** The API from another loopback address each time. */
  apiFromElsewhere(): RelayApi;
}

/** Starts both. */
export async function startMatrixSystem(): Promise<MatrixSystem> {
  const provider = await startOidcProvider({ accounts: peopleBy('oidc').map(accountOf) });
  const system = createSystem();
  const dir = join(system.dir, 'config');
  mkdirSync(dir);
  writeFileSync(join(dir, 'provider-ca.pem'), provider.caPem);
  writeFileSync(join(dir, 'relay.json'), JSON.stringify(configOf(provider)));
  const started = await startRelayOn(join(system.dir, 'relay'), {
    config: join(dir, 'relay.json'),
    env: { TOWLINE_JWT_SECRET: randomBytes(32).toString('base64url') },
  });
  // With a provider by which people log in the relay makes no admin's key by itself.
  const relay = { ...started, adminKey: (await createKey(system, started, ['--admin'])).key };
  const apis = Array.from({ length: ADDRESSES }, (_, at) => openApi(relay, `127.0.0.${at + 1}`));
  let calls = 0;
  return {
    ...{ system, relay, provider, api: apis[0]! },
    apiFromElsewhere: () => apis[(calls += 1) % ADDRESSES]!,
    async [Symbol.asyncDispose]() {
      for (const api of apis) api[Symbol.dispose]();
      await relay[Symbol.asyncDispose]();
      await system[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

function peopleBy(...ways: readonly string[]): readonly PrincipalName[] {
  return PRINCIPAL_NAMES.filter((name) => ways.includes(rowOf(name).by));
}

function accountOf(name: PrincipalName) {
  return { sub: rowOf(name).person!, email: emailOf(name)!, email_verified: true };
}

/** JSON is YAML. */
function configOf(provider: TestOidcProvider) {
  const salt = randomBytes(16);
  const hash = scryptSync(PASSWORD, salt, 32, COST).toString('base64url');
  const password_hash = ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), hash].join('$');
  const users = peopleBy('basic', 'jwt', 'own key').map((name) => ({
    username: rowOf(name).person!,
    password_hash,
    email: emailOf(name)!,
  }));
  const { url: issuer, clientId: client_id } = provider;
  return {
    admin_emails: [emailOf('platform admin by e-mail')],
    auth: [
      'apikey',
      { use: 'oidc', issuer, client_id, ca_file: 'provider-ca.pem', email_domains: ['id.example'] },
      { use: 'basic', users },
    ],
    enrolment: { max_pending_per_owner: 1_000, max_pending_per_address: 1_000 },
  };
}
