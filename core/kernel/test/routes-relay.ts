import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRelayConfig } from '@towline/config/relay';
import type { AuditView, Device, ListView, Store } from '@towline/contract';
import { createId, type DeviceId, type Scope } from '@towline/protocol';
import { hashPassword } from '../../../plugins/auth-basic/src/password-hash.ts';
import { openStore } from '../../../plugins/store-sqlite/test/open-store.ts';
import { DISTRIBUTION_SOURCE } from '../../relay/src/location.ts';
import { createLog } from '../src/log.ts';
import { startRelay } from '../src/relay/start-relay.ts';

const PASSWORD = 'correct horse battery staple';
const SECRET = 'Zk3vB7rQ0sYp8nLw2mXc5tHd9gFj1aEu';

/** Who asks: somebody who logs in by name, the holder of a key or token, or nobody. */
export type Asking = string | { readonly key: string } | { readonly token: string } | null;

/** What the relay answered. `code` is that of an error. */
export interface Answer<Body = unknown> {
  readonly status: number;
  readonly body: Body;
  readonly code: string | undefined;
  readonly message: string;
  readonly hint: string;
}

/** A relay in this process, with people who log in by password, and its store seen by a second door. */
export interface RoutesRelay extends AsyncDisposable {
  readonly url: string;
  readonly store: Store;
  readonly dataDir: string;
  call<Body>(who: Asking, request: string, body?: unknown): Promise<Answer<Body>>;
  /** Adds a device to the store. */
  addDevice(name: string, owner: string, more?: Partial<Device>): Promise<DeviceId>;
  /** The trail of an action, the newest first. */
  trail(action: string): Promise<readonly AuditView[]>;
}

/** Somebody of the config. `root` is a platform admin besides. */
export interface Person {
  readonly email?: string;
  readonly streams?: readonly string[];
  readonly scopes?: readonly { readonly scope: string; readonly role: string }[];
}

/** Starts a relay with these people, by name. */
export async function startRoutesRelay(people: Readonly<Record<string, Person>>, { jwt = true } = {}): Promise<RoutesRelay> {
  const dir = mkdtempSync(join(tmpdir(), 'towline-routes-'));
  const file = join(dir, 'towline.yaml');
  const password_hash = await hashPassword(PASSWORD);
  const users = Object.entries({ root: { email: 'root@example.com', admin: true }, ...people }).map(([username, rest]) => ({
    ...{ username, password_hash, ...rest },
  }));
  const auth = [{ use: 'basic', users }, ...(jwt ? [{ use: 'jwt', secret: SECRET }] : []), { use: 'apikey' }];
  const server = { host: '127.0.0.1', port: 0, tls: { enabled: false } };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ server, auth, transports: ['tls'] }), { mode: 0o600 });
  const dataDir = join(dir, 'data');
  const config = loadRelayConfig({ file, env: {}, cwd: dir, flags: { data: dataDir } });
  const log = createLog({ level: 'error' });
  const signal = AbortSignal.timeout(60_000);
  const relay = await startRelay({ config, distribution: DISTRIBUTION_SOURCE, clock: { now: Date.now }, log, signal });
  const store = await openStore(dataDir);
  const call: RoutesRelay['call'] = (who, request, body) => callRelay(relay.url, who, { request, body });
  return {
    ...{ url: relay.url, store, dataDir, call },
    addDevice: (name, owner, more) => addDevice(store, { name, owner: owner as Scope, ...more }),
    trail: async (action) => (await call<ListView<AuditView>>('root', `GET /v1/audit?action=${action}`)).body.items,
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await relay.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function callRelay<Body>(url: string, who: Asking, { request, body }: { request: string; body: unknown }): Promise<Answer<Body>> {
  const [method = '', path = ''] = request.split(' ');
  const response = await fetch(url + path, {
    method,
    headers: { ...credentialOf(who), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer = text === '' ? null : JSON.parse(text);
  const { code, message = '', hint = '' } = answer?.error ?? {};
  return { status: response.status, body: answer, code, message, hint };
}

function credentialOf(who: Asking): Record<string, string> {
  if (who === null) return {};
  if (typeof who === 'string') return { authorization: `Basic ${Buffer.from(`${who}:${PASSWORD}`).toString('base64')}` };
  return 'key' in who ? { 'x-api-key': who.key } : { authorization: `Bearer ${who.token}` };
}

async function addDevice(store: Store, { name, owner, ...more }: Pick<Device, 'name' | 'owner'> & Partial<Device>): Promise<DeviceId> {
  const id = createId<DeviceId>();
  const facts = { hostname: 'host', platform: 'linux', arch: 'arm64', version: '1.0.0' };
  const made = {
    shares: [],
    publicKey: id,
    fingerprint: `sha256:${id}${id}`,
    facts,
    enrolledAt: Date.now(),
    enrolledBy: 'test',
    revision: 1,
  };
  await store.devices.insert({ id, name, owner, ...made, ...more });
  return id;
}
