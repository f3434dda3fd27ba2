import type { Role } from '@towline/contract';

/** Organisations of the world that access is tried in. */
export type OrgName = 'acme' | 'globex' | 'guild';

/** How somebody proves who they are. */
export type Way =
  /** Access token of the OpenID provider. */
  | 'oidc'
  | 'basic'
  /** Token of the relay, made by a basic login. */
  | 'jwt'
  /** Key from the rescue command: it holds exactly what is written in it. */
  | 'rescue key'
  /** Token of the relay, made with such a key. */
  | 'jwt of a rescue key'
  /** Key that its user made after a basic login. */
  | 'own key'
  | 'admin key'
  | 'device key'
  | 'enrolment key'
  | 'nothing';

/** Somebody who asks. */
export interface PrincipalRow {
  readonly by: Way;
  /** Part of the address before the @; the domain says by which way. Absent: has no scope of their own. */
  readonly person?: string;
  /** Set only for credentials that are no user's, or do not count: what every route for users answers. */
  readonly refused?: '401 unauthenticated' | '401 key_wrong_kind' | '403 user_disabled';
  readonly platform?: true;
  /** Memberships, or what the rescue key was given. */
  readonly holds?: Readonly<Partial<Record<OrgName, Role>>>;
  /** What the person may do with the lent device; absent: nothing. How it was lent is in {@link SHARES}. */
  readonly lent?: Role;
  /** What the key is limited to. */
  readonly limit?: 'exec' | 'own device';
}

/** The same rights by every kind of credential: admin of oneself, operator of acme, viewer of the lent device. */
const EACH_KIND = Object.freeze({ holds: { acme: 'operator' }, lent: 'viewer' } as const);

/** Everybody who asks. */
export const PRINCIPALS = Object.freeze({
  nobody: { by: 'nothing', refused: '401 unauthenticated' },
  'user by OIDC': { by: 'oidc', person: 'oda', ...EACH_KIND },
  'user by JWT': { by: 'jwt', person: 'jo', ...EACH_KIND },
  'user by basic': { by: 'basic', person: 'basil', ...EACH_KIND },
  'user by rescue key': { by: 'rescue key', person: 'rex', ...EACH_KIND },
  'user by own key': { by: 'own key', person: 'kit', ...EACH_KIND },
  'key for exec': { by: 'own key', person: 'lim', ...EACH_KIND, limit: 'exec' },
  'key for one device': { by: 'own key', person: 'dev', ...EACH_KIND, limit: 'own device' },
  'org viewer': { by: 'basic', person: 'viv', holds: { acme: 'viewer' } },
  'org operator': { by: 'jwt', person: 'otto', holds: { acme: 'operator' } },
  'org admin': { by: 'oidc', person: 'olga', holds: { acme: 'admin' } },
  'key of an org admin for exec': { by: 'own key', person: 'kai', holds: { acme: 'admin' }, limit: 'exec' },
  'share viewer': { by: 'rescue key', person: 'shea', lent: 'viewer' },
  'share operator': { by: 'jwt of a rescue key', person: 'soren', lent: 'operator' },
  'share admin': { by: 'basic', person: 'sia', lent: 'admin' },
  'share admin for exec': { by: 'oidc', person: 'sel', lent: 'admin' },
  'share ended': { by: 'basic', person: 'ed' },
  'viewer of an org that borrows': { by: 'basic', person: 'gil', holds: { guild: 'viewer' }, lent: 'viewer' },
  'admin of another org': { by: 'oidc', person: 'gus', holds: { globex: 'admin' } },
  'disabled user': { by: 'basic', person: 'dora', holds: { acme: 'admin' }, lent: 'admin', refused: '403 user_disabled' },
  'key of a disabled user': { by: 'own key', person: 'dirk', holds: { acme: 'admin' }, lent: 'admin', refused: '403 user_disabled' },
  'device key': { by: 'device key', refused: '401 key_wrong_kind' },
  'enrolment key': { by: 'enrolment key', refused: '401 key_wrong_kind' },
  'platform admin': { by: 'admin key', platform: true },
  'platform admin by e-mail': { by: 'oidc', person: 'root', platform: true },
} as const satisfies Record<string, PrincipalRow>);

/** One of them. */
export type PrincipalName = keyof typeof PRINCIPALS;
/** All of them. */
export const PRINCIPAL_NAMES = Object.keys(PRINCIPALS) as readonly PrincipalName[];
/** Those whose credential is a user's and counts. */
export const USERS = PRINCIPAL_NAMES.filter((name) => rowOf(name).refused === undefined);

/** The row of a principal, with the members that it may leave out. */
export function rowOf(name: PrincipalName): PrincipalRow {
  return PRINCIPALS[name];
}

/** Address of a principal; null for those who have none. Two providers must not vouch for one domain, so each has its own. */
export function emailOf(name: PrincipalName): string | null {
  const { by, person } = rowOf(name);
  if (person === undefined) return null;
  if (by === 'oidc') return `${person}@id.example`;
  return `${person}@${by.endsWith('rescue key') ? 'key' : 'basic'}.example`;
}

/** To whom the lent device is lent, besides the people that {@link EACH_KIND} is about. */
export interface ShareRow {
  readonly to: PrincipalName | 'org:guild';
  readonly role: Role;
  readonly streams?: readonly string[];
  readonly ends?: true;
}

/** How the lent device is lent. The guild has more of it than its viewer may use. */
export const SHARES: readonly ShareRow[] = Object.freeze([
  { to: 'user by OIDC', role: 'viewer' },
  { to: 'user by JWT', role: 'viewer' },
  { to: 'user by basic', role: 'viewer' },
  { to: 'user by rescue key', role: 'viewer' },
  { to: 'user by own key', role: 'viewer' },
  { to: 'key for exec', role: 'viewer' },
  { to: 'key for one device', role: 'viewer' },
  { to: 'share viewer', role: 'viewer' },
  { to: 'share operator', role: 'operator' },
  { to: 'share admin', role: 'admin' },
  { to: 'share admin for exec', role: 'admin', streams: ['exec'] },
  { to: 'share ended', role: 'admin', ends: true },
  { to: 'disabled user', role: 'admin' },
  { to: 'key of a disabled user', role: 'admin' },
  { to: 'org:guild', role: 'admin' },
]);
