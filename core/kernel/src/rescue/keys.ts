import { type ApiKey, type AuditEvent, type Clock, type Role, type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createApiKeyText, defined, type KeyId, normaliseEmail, parseScope, type Scope, userScope } from '@towline/protocol';
import { OPERATOR } from '../access/actor.ts';
import { revokeFoundKey } from '../keys/revoke.ts';
import { OPERATOR_SCOPE } from '../people/operator-scope.ts';
import { allPages } from '../people/pages.ts';

/** What the rescue commands work with: the store itself, beside a running relay or without one. */
export interface RescueParts {
  readonly store: Store;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly clock: Clock;
}

/** What a new key is for. */
export type KeySpec = {
  readonly name?: string;
  /** Stream names the key is limited to. */
  readonly streams?: readonly string[];
  /** Milliseconds from now. */
  readonly expiresInMs?: number;
} & (
  | { readonly for: 'admin'; readonly email?: string }
  | { readonly for: 'user'; readonly email: string; readonly scopes: readonly string[]; readonly role: Role }
  | { readonly for: 'enrolment'; readonly org?: string; readonly email?: string; readonly count?: number }
);

/** A new key: the only moment in which its text is known. */
export interface CreatedKey {
  readonly id: KeyId;
  readonly key: string;
}

/** Creates a key of a user, a platform admin, or for enrolling. @throws TowlineError `usage`. */
export async function createKey({ store, audit, clock }: RescueParts, spec: KeySpec): Promise<CreatedKey> {
  const made = createApiKeyText(spec.for === 'enrolment' ? 'enrolment' : 'user');
  const now = clock.now();
  const key: ApiKey = {
    id: made.id,
    hash: made.hash,
    ...holderOf(spec),
    createdAt: now,
    createdBy: OPERATOR.label,
    ...(spec.streams === undefined || spec.streams.length === 0 ? {} : { streams: spec.streams }),
    ...(spec.expiresInMs === undefined ? {} : { expiresAt: now + spec.expiresInMs }),
    revision: 1,
  };
  if (!(await store.keys.insert(key))) throw new TowlineError('store_conflict');
  await audit({
    at: now,
    action: 'key.created',
    actor: OPERATOR,
    owner: key.owner,
    outcome: 'ok',
    detail: { key: key.id, kind: key.kind, name: key.name, admin: key.admin },
  });
  return { id: made.id, key: made.text };
}

/** All keys, those of devices included; revoked ones when asked for. */
export async function listKeys({ store }: RescueParts, includeRevoked: boolean): Promise<ApiKey[]> {
  const keys: ApiKey[] = [];
  for await (const key of allPages((page) => store.keys.list({ includeRevoked }, page, SYSTEM_SCOPE))) keys.push(key);
  return keys;
}

/** Revokes a key; a running relay closes what lives by it within a second. @throws TowlineError `not_found`, `conflict`. */
export async function revokeKey(parts: RescueParts, id: string, reason: string | undefined): Promise<void> {
  const key = await parts.store.keys.get(id as KeyId, SYSTEM_SCOPE);
  if (key === null) throw new TowlineError('not_found', `No key has the id ${id}.`, { hint: '`towline-relay keys list` shows all.' });
  const revoked = await revokeFoundKey(parts, key, { actor: OPERATOR, ...defined({ reason }) });
  if (!revoked) throw new TowlineError('conflict', 'The key was revoked before.', { hint: 'Nothing is left to be done.' });
}

type Holder = Pick<ApiKey, 'kind' | 'name' | 'owner' | 'admin' | 'scopes'> & Pick<Partial<ApiKey>, 'userId' | 'email' | 'remaining'>;

function holderOf(spec: KeySpec): Holder {
  if (spec.for === 'enrolment') return enrolmentHolder(spec);
  if (spec.for === 'user') return userHolder(spec);
  if (spec.email !== undefined)
    return { ...userHolder({ ...spec, for: 'user', email: spec.email, scopes: [], role: 'admin' }), admin: true };
  return { kind: 'user', name: spec.name ?? 'admin', owner: OPERATOR_SCOPE, admin: true, scopes: [], userId: 'local|operator' };
}

function userHolder(spec: Extract<KeySpec, { for: 'user' }>): Holder {
  const email = normaliseEmail(spec.email);
  if (email === null) throw new TowlineError('usage', `“${spec.email}” is not an e-mail address.`);
  const own = { scope: userScope(email), role: 'admin' as const };
  const more = spec.scopes.map((text) => ({ scope: scopeOf(text), role: spec.role }));
  return {
    kind: 'user',
    name: spec.name ?? email,
    owner: own.scope,
    admin: false,
    scopes: [own, ...more],
    userId: `local|${email}`,
    email,
  };
}

function enrolmentHolder(spec: Extract<KeySpec, { for: 'enrolment' }>): Holder {
  if ((spec.org === undefined) === (spec.email === undefined))
    throw new TowlineError('usage', 'An enrolment key is for an organisation (--org) or a person (--email).');
  const owner = scopeOf(spec.org === undefined ? `user:${spec.email}` : `org:${spec.org}`);
  const count = spec.count === undefined ? {} : { remaining: spec.count };
  return {
    kind: 'enrolment',
    name: spec.name ?? `enrol ${owner}`,
    owner,
    admin: false,
    scopes: [{ scope: owner, role: 'viewer' }],
    ...count,
  };
}

function scopeOf(text: string): Scope {
  const scope = parseScope(text);
  if (scope === null) throw new TowlineError('usage', `“${text}” is not a scope: expected user:EMAIL or org:ID, the id in lower case.`);
  return scope;
}
