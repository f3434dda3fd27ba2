import { createId, SECRETS_FEATURE } from '@towline/protocol';
import { GUEST, type ObjectKind, STREAMS, type Whose } from '../matrix/expectations.ts';
import { emailOf, type OrgName, PRINCIPAL_NAMES, type PrincipalName, rowOf, SHARES, type ShareRow } from '../matrix/principals.ts';
import {
  createCredentials,
  createOwnKey,
  createRescueKey,
  headersOf,
  type MatrixCredential,
  type SentCredential,
  whoIs,
} from './matrix-credentials.ts';
import { linkAs, type MatrixLink } from './matrix-link.ts';
import { type MatrixSystem, startMatrixSystem } from './matrix-system.ts';
import { createIdentity, type EnrolledRawDevice, enrolRawDevice, linkDevice, requestEnrolment } from './raw-device.ts';
import { type ApiAnswer, bodyOf } from './relay-api.ts';

/** Who owns the device that is lent. */
const LENDER = 'user:lena@key.example';
/** How long the share that ends lasts, milliseconds. */
const ENDING_MS = 1_000;
/** Ids of what does not exist, as long as those of what does. */
const ABSENT: Readonly<Record<ObjectKind, string>> = Object.freeze({
  device: createId(),
  session: createId(),
  registration: createId(),
  org: 'glohex',
  key: '0123456789abcdef',
  user: `local|${'x'.repeat(12)}@key.example`,
  scope: 'org:glohex',
});

/** Everything that access is tried on. */
export interface MatrixWorld extends MatrixSystem {
  readonly credentials: ReadonlyMap<PrincipalName, MatrixCredential>;
  /** Id of an object as seen by somebody; undefined where there is none, as an own device of nobody. */
  idOf(kind: ObjectKind, whose: Whose, principal: PrincipalName): string | undefined;
  /** An object like that one, which a route may use up. */
  fresh(kind: ObjectKind, whose: Whose, principal: PrincipalName): Promise<string>;
  /** A second device of the owner of the key for one device. */
  readonly secondDevice: string;
  /** The scope that owns the device that is lent. */
  readonly lender: string;
  /** Calls the API as somebody. */
  call(principal: PrincipalName, method: string, path: string, body?: unknown): Promise<ApiAnswer>;
}

type Devices = ReadonlyMap<PrincipalName | Whose | 'second', EnrolledRawDevice>;

/** Builds it. */
export async function buildMatrixWorld(): Promise<MatrixWorld> {
  const system = await startMatrixSystem();
  const world = new World(system);
  try {
    await world.build();
    return world;
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

/** The scope that owns what is of that class; null where there is none. */
function scopeOf(whose: Whose, principal: PrincipalName): string | null {
  if (whose === 'own') return emailOf(principal) === null ? null : `user:${emailOf(principal)}`;
  return { org: 'org:acme', lent: LENDER, foreign: 'org:globex', absent: null, deleted: null }[whose];
}

class World implements MatrixWorld {
  readonly system;
  readonly relay;
  readonly provider;
  readonly api;
  readonly lender = LENDER;
  readonly #matrix: MatrixSystem;
  readonly #ids = new Map<string, string>();
  readonly #open: AsyncDisposable[] = [];
  #credentials: ReadonlyMap<PrincipalName, MatrixCredential> = new Map();
  #devices: Devices = new Map();
  #adminLink: MatrixLink | undefined;
  #made = 0;

  constructor(matrix: MatrixSystem) {
    this.#matrix = matrix;
    this.system = matrix.system;
    this.relay = matrix.relay;
    this.provider = matrix.provider;
    this.api = matrix.api;
  }

  get credentials(): ReadonlyMap<PrincipalName, MatrixCredential> {
    return this.#credentials;
  }

  get secondDevice(): string {
    return this.#devices.get('second')!.identity.id;
  }

  apiFromElsewhere() {
    return this.#matrix.apiFromElsewhere();
  }

  call(principal: PrincipalName, method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const headers = headersOf(this.#credentials.get(principal)!.sent);
    return this.apiFromElsewhere().call(method, path, { headers, ...(body === undefined ? {} : { body }) });
  }

  idOf(kind: ObjectKind, whose: Whose, principal: PrincipalName): string | undefined {
    if (whose === 'absent') return ABSENT[kind];
    if (kind === 'scope') return scopeOf(whose, principal) ?? undefined;
    return this.#ids.get(`${kind} ${whose === 'own' ? `own ${principal}` : whose}`);
  }

  async fresh(kind: ObjectKind, whose: Whose, principal: PrincipalName): Promise<string> {
    if (kind === 'device') return (await this.#enrol(scopeOf(whose, principal)!)).identity.id;
    if (kind === 'registration') return this.#request(scopeOf(whose, principal)!);
    if (kind === 'session') return this.#openSession(this.idOf('device', whose, principal)!);
    if (kind === 'org') return this.#createOrg(principal);
    if (kind === 'key') return this.#createKey(whose, principal);
    throw new Error(`There is no way to make another ${kind}.`);
  }

  async build(): Promise<void> {
    await this.#createOrgs();
    await this.#createDevices();
    const own = new Map(
      PRINCIPAL_NAMES.flatMap((name) => (this.#devices.has(name) ? [[name, this.#devices.get(name)!.identity.id] as const] : [])),
    );
    this.#credentials = await createCredentials({ ...this.#matrix, devices: { own, ofDeviceKey: this.#devices.get('org')! } });
    for (const share of SHARES) await this.#share(share);
    for (const [whose] of this.#devices) await this.#shareWithGuest(whose);
    await this.#openSessions();
    await this.#createTheRest();
    for (const name of ['disabled user', 'key of a disabled user'] as const) {
      const path = `/v1/users/${encodeURIComponent(this.idOf('user', 'own', name)!)}`;
      bodyOf(await this.#asAdmin('PATCH', path, { disabled: true }));
    }
    await new Promise((later) => setTimeout(later, ENDING_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const open of this.#open) await open[Symbol.asyncDispose]();
    await this.#matrix[Symbol.asyncDispose]();
  }

  async #asAdmin(method: string, path: string, body?: unknown): Promise<ApiAnswer> {
    const answer = await this.apiFromElsewhere().call(method, path, { key: this.relay.adminKey, ...(body === undefined ? {} : { body }) });
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  async #createOrgs(): Promise<void> {
    for (const id of ['acme', 'globex', 'guild', 'gonein']) await this.#asAdmin('POST', '/v1/orgs', { id });
    for (const name of PRINCIPAL_NAMES.filter((each) => !rowOf(each).by.endsWith('rescue key'))) {
      const holds = Object.entries(rowOf(name).holds ?? {}) as [OrgName, string][];
      for (const [org, role] of holds) await this.#asAdmin('PUT', `/v1/orgs/${org}/members/${emailOf(name)}`, { role });
    }
    await this.#asAdmin('DELETE', '/v1/orgs/gonein');
    for (const [whose, id] of Object.entries({ org: 'acme', foreign: 'globex', deleted: 'gonein' })) this.#ids.set(`org ${whose}`, id);
  }

  async #createDevices(): Promise<void> {
    const devices = new Map<PrincipalName | Whose | 'second', EnrolledRawDevice>();
    this.#devices = devices;
    for (const whose of ['org', 'lent', 'foreign'] as const) {
      devices.set(whose, await this.#enrol(scopeOf(whose, 'nobody')!, { org: 'acme-pi', lent: 'lent-pi', foreign: 'globex-pi' }[whose]));
      this.#ids.set(`device ${whose}`, devices.get(whose)!.identity.id);
    }
    for (const name of PRINCIPAL_NAMES.filter((each) => emailOf(each) !== null)) {
      devices.set(name, await this.#enrol(scopeOf('own', name)!));
      this.#ids.set(`device own ${name}`, devices.get(name)!.identity.id);
    }
    devices.set('second', await this.#enrol(scopeOf('own', 'key for one device')!));
  }

  #enrol(owner: string, name = 'pi'): Promise<EnrolledRawDevice> {
    return enrolRawDevice(this.apiFromElsewhere(), { name, owner });
  }

  async #request(owner: string): Promise<string> {
    return (await requestEnrolment(this.apiFromElsewhere(), createIdentity(), { name: 'waits', owner })).id;
  }

  async #share({ to, role, streams, ends }: ShareRow): Promise<void> {
    const scope = to === 'org:guild' ? to : `user:${emailOf(to)}`;
    const until = ends ? { until: new Date(Date.now() + ENDING_MS).toISOString() } : {};
    const path = `/v1/devices/${this.idOf('device', 'lent', 'nobody')}/access/${encodeURIComponent(scope)}`;
    await this.#asAdmin('PUT', path, { role, ...(streams === undefined ? {} : { streams }), ...until });
  }

  /** Everybody's device, so that taking it back is refused for the right reason. */
  async #shareWithGuest(whose: PrincipalName | Whose | 'second'): Promise<void> {
    await this.#asAdmin('PUT', `/v1/devices/${this.#devices.get(whose)!.identity.id}/access/user:${GUEST}`, { role: 'viewer' });
  }

  async #openSessions(): Promise<void> {
    this.#adminLink = await linkAs(this.relay, { header: 'X-API-Key', value: this.relay.adminKey });
    this.#open.push(this.#adminLink);
    for (const [whose, { apiKey, identity }] of this.#devices) {
      this.#open.push(await linkDevice(this.relay, apiKey, { identity, features: [SECRETS_FEATURE] }));
      const place = ['org', 'lent', 'foreign', 'second'].includes(whose) ? whose : `own ${whose}`;
      this.#ids.set(`session ${place}`, await this.#openSession(identity.id));
    }
  }

  async #openSession(device: string): Promise<string> {
    const { answer, session } = await this.#adminLink!.open(device, STREAMS.exec!);
    if (answer !== 'accepted') throw new Error(`no session: ${answer}`);
    return session;
  }

  async #createTheRest(): Promise<void> {
    for (const whose of ['org', 'foreign'] as const) this.#ids.set(`key ${whose}`, await this.#createKey(whose, 'nobody'));
    for (const whose of ['org', 'foreign'] as const) this.#ids.set(`registration ${whose}`, await this.#request(scopeOf(whose, 'nobody')!));
    for (const name of PRINCIPAL_NAMES.filter(
      (each) => rowOf(each).refused !== '401 unauthenticated' && rowOf(each).refused !== '401 key_wrong_kind',
    )) {
      const { sent, login, keyId } = this.#credentials.get(name)!;
      this.#ids.set(`user own ${name}`, (await whoIs(this.#matrix, sent)).id);
      // Another than a credential that may revoke it, which is to outlive the tests.
      this.#ids.set(`key own ${name}`, login === null && keyId !== undefined ? keyId : await this.#createKey('own', name));
      const scope = scopeOf('own', name);
      if (scope !== null) this.#ids.set(`registration own ${name}`, await this.#request(scope));
    }
    this.#ids.set('user foreign', this.idOf('user', 'own', 'admin of another org')!);
  }

  /** One of which that person is admin, as of the organisation in its place. */
  async #createOrg(principal: PrincipalName): Promise<string> {
    const id = `spare-${(this.#made += 1)}`;
    await this.#asAdmin('POST', '/v1/orgs', { id });
    const email = emailOf(principal);
    if (email !== null) await this.#asAdmin('PUT', `/v1/orgs/${id}/members/${email}`, { role: 'admin' });
    return id;
  }

  async #createKey(whose: Whose, name: PrincipalName): Promise<string> {
    const admin: SentCredential = { header: 'X-API-Key', value: this.relay.adminKey };
    if (whose !== 'own') return (await createOwnKey(this.#matrix, admin, { kind: 'enrolment', owner: scopeOf(whose, name) })).id;
    const { login } = this.#credentials.get(name)!;
    if (login !== null) return (await createOwnKey(this.#matrix, login, {})).id;
    if (name !== 'platform admin') return (await createRescueKey(this.#matrix, name)).id;
    return (await createOwnKey(this.#matrix, admin, { scopes: [{ scope: 'org:acme', role: 'viewer' }] })).id;
  }
}
