import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteStream, Link, Role } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createControlChannel, readMessage } from '@towline/link';
import {
  type ClientToRelay,
  CONTROL_PROTOCOL,
  clientOpen,
  clientToRelay,
  createId,
  type DeviceToRelay,
  deviceToRelay,
  encodeJson,
  MAX_CONTROL_MESSAGE,
  type OrgId,
  openAnswer,
  PROTOCOL_LEVEL,
  proofText,
  type RelayToClient,
  type RelayToDevice,
  relayToClient,
  relayToDevice,
  type SessionId,
  signText,
  toTowlineError,
} from '@towline/protocol';
import { plugin, type SqliteStore } from '@towline/store-sqlite';
import { createTlsDial } from '@towline/transport-tls/dial';
import { Site } from './plugin-site.ts';
import { STEP_MS } from './process.ts';
import { dialDevice, type EnrolledRawDevice } from './raw-device.ts';
import { startRelayOn } from './relay-process.ts';
import type { TestRelay, TestSystem } from './system.ts';

/** Access ends within a second; the machine that runs this may be busy. */
export const SOON_MS = 2_500;
const TLS = createTlsDial({ environment: {}, warn: () => {} });
const quiet = () => undefined;

/**
 * A login provider as somebody could write one: its tokens say in the clear who holds them and until when, which is enough for a
 * relay that nobody else reaches.
 */
const LOGIN_PLUGIN = `({
  authenticate: async (credential) => {
    const text = credential.scheme === 'bearer' ? credential.token : '';
    if (!text.startsWith('acme.')) return { outcome: 'skipped' };
    const { sub, ...rest } = JSON.parse(Buffer.from(text.slice(5), 'base64url').toString('utf8'));
    const principal = { kind: 'user', id: 'acme|' + sub, label: sub, email: sub, scopes: [], admin: false, provider: 'acme', ...rest };
    return { outcome: 'accepted', principal };
  },
})`;

/** What a token says besides whose it is. */
export interface TokenClaims {
  readonly expiresAt?: number;
  readonly streams?: readonly string[];
  readonly scopes?: readonly { readonly scope: string; readonly role: Role }[];
}

/** A token of the person with that address. */
export function tokenOf(email: string, claims: TokenClaims = {}): string {
  return `acme.${Buffer.from(JSON.stringify({ sub: email, ...claims })).toString('base64url')}`;
}

/** Starts a relay at which people log in with {@link tokenOf}; `lines` go into its config. */
export async function startLiveRelay(system: TestSystem, name: string, lines: readonly string[] = []): Promise<TestRelay> {
  const dir = join(system.dir, name);
  mkdirSync(dir);
  const site = new Site(dir).addPackage('plugins/login', { kind: 'auth', name: 'acme', create: LOGIN_PLUGIN });
  const config = join(dir, 'towline.yaml');
  writeFileSync(config, ['auth: [acme, apikey]', 'plugins: [./plugins/login]', ...lines].join('\n'));
  return startRelayOn(join(site.dir, 'data'), { config });
}

/** Opens the store of a running relay beside it, as the rescue command does. */
export async function openStoreOf(relay: TestRelay): Promise<SqliteStore> {
  const host = {
    dataDir: relay.dir,
    baseDir: relay.dir,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    clock: { now: Date.now },
  };
  const store = plugin.create({}, host as never) as SqliteStore;
  await store.start(AbortSignal.timeout(STEP_MS));
  return store;
}

/** Adds an organisation and its members. */
export async function addOrg(store: SqliteStore, id: string, members: Readonly<Record<string, Role>>): Promise<void> {
  const org = id as OrgId;
  await store.organisations.insert({ id: org, name: id, createdAt: Date.now(), createdBy: 'test', revision: 1 });
  for (const [email, role] of Object.entries(members)) await setMember(store, id, email, role);
}

/** Adds somebody to an organisation, or changes the role. */
export async function setMember(store: SqliteStore, org: string, email: string, role: Role): Promise<void> {
  const notice = { at: Date.now(), code: 'access_ended', message: `Your role in ${org} is ${role} now.` };
  const outcome = await store.organisations.setMember(
    { org: org as OrgId, email, role, addedAt: Date.now(), addedBy: 'test' },
    SYSTEM_SCOPE,
    notice,
  );
  if (outcome !== 'done') throw new Error(outcome);
}

/** A stream that was opened. */
export interface LiveSession {
  readonly id: SessionId;
  /** `accepted`, or the code of the refusal. */
  readonly answer: string;
  readonly stream: ByteStream;
  /** Code with which it ended; null after a clean end. */
  readonly ended: Promise<string | null>;
}

/** A client's link, seen with everything that the relay says on it. */
export interface LiveClient extends AsyncDisposable {
  readonly link: Link;
  readonly welcome: Extract<RelayToClient, { type: 'welcome' }>;
  open(device: string, protocol?: '/exec/1' | '/shell/1', argv?: readonly string[]): Promise<LiveSession>;
  /** Sends a renewed credential, and answers the relay's answer. */
  renew(token: string, header?: 'Authorization' | 'X-API-Key'): Promise<Extract<RelayToClient, { type: 'credential_result' }>>;
}

/** Links with a token. */
export async function linkLive(relay: TestRelay, token: string): Promise<LiveClient> {
  const link = await TLS.dial({
    relay: new URL(relay.url),
    role: 'client',
    credential: { header: 'Authorization', value: `Bearer ${token}` },
    trust: { fingerprint: relay.fingerprint },
    signal: AbortSignal.timeout(STEP_MS),
  });
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel<ClientToRelay, RelayToClient>(stream, { encode: clientToRelay, decode: relayToClient });
  control.send({ type: 'hello', level: PROTOCOL_LEVEL, version: 'test' });
  const welcome = await control.next(AbortSignal.timeout(STEP_MS));
  if (welcome.type !== 'welcome') throw new Error(`not welcomed: ${JSON.stringify(welcome)}`);
  let renewals = 0;
  const answers = new Map<number, (answer: Extract<RelayToClient, { type: 'credential_result' }>) => void>();
  control.onMessage((message) => {
    if (message.type === 'credential_result') answers.get(message.id)?.(message);
  });
  return {
    link,
    welcome,
    open: (device, protocol = '/exec/1', argv = ['true']) => openLive(link, { device, protocol, argv }),
    renew(token, header = 'Authorization') {
      const id = (renewals += 1);
      control.send({ type: 'credential', id, header, value: header === 'Authorization' ? `Bearer ${token}` : token });
      return new Promise((resolve) => answers.set(id, resolve));
    },
    [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.'),
  };
}

async function openLive(
  link: Link,
  { device, protocol, argv }: { readonly device: string; readonly protocol: string; readonly argv: readonly string[] },
): Promise<LiveSession> {
  const id = createId<SessionId>();
  const body = protocol === '/exec/1' ? { argv: [...argv], stdin: true } : { cols: 80, rows: 24, term: 'xterm' };
  const stream = link.openStream(clientOpen.encode({ device, session: id, protocol, body }));
  const ended = new Promise<string | null>((resolve) => {
    stream.on('error', () => {});
    stream.once('close', () => resolve(stream.errored ? toTowlineError(stream.errored).code : null));
  });
  const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(STEP_MS)));
  stream.resume();
  return { id, answer: answer.status === 'refused' ? answer.code : answer.status, stream, ended };
}

/** A device that comes back with sessions. */
export interface ReturningDevice extends AsyncDisposable {
  /** What the relay has it end, by session. */
  readonly told: ReadonlyMap<string, { readonly code: string; readonly message: string }>;
}

/** Links as a device on which sessions live. */
export async function linkWithSessions(
  relay: TestRelay,
  { apiKey, identity }: EnrolledRawDevice,
  sessions: readonly SessionId[],
): Promise<ReturningDevice> {
  const link = await dialDevice(relay, apiKey);
  const stream = await new Promise<ByteStream>((resolve) => link.onStream(resolve));
  const control = createControlChannel<DeviceToRelay, RelayToDevice>(stream, { encode: deviceToRelay, decode: relayToDevice });
  const challenge = await control.next(AbortSignal.timeout(STEP_MS));
  if (challenge.type !== 'challenge') throw new Error(`no challenge: ${challenge.type}`);
  const instance = createId<SessionId>();
  const text = proofText({ relay: challenge.relay, deviceId: identity.id, nonce: challenge.nonce, instance });
  const signature = signText(text, identity.privateKey);
  const facts = { hostname: 'pi.local', version: '1.0.0', serves: ['/exec/1'], sessions: [...sessions] };
  control.send({ type: 'proof', level: PROTOCOL_LEVEL, device: identity.id, signature, instance, ...facts });
  const told = new Map<string, { readonly code: string; readonly message: string }>();
  control.onMessage((message) => {
    if (message.type === 'end_session') told.set(message.session, message);
  });
  return { told, [Symbol.asyncDispose]: () => link.close('link_closed', 'The test is over.') };
}
