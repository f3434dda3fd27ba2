import {
  isTowlineError,
  type Page,
  type PageRequest,
  type Principal,
  type Secret,
  type SecretEntry,
  TowlineError,
} from '@towline/contract';
import { type Scope, secretNameFault, secretValueFault } from '@towline/protocol';
import { callerOf, requireOnScope } from '../access/roles.ts';
import { createTurns } from '../enrolment/turns.ts';
import { type Asker, type ChangeParts, doerOf, recordChange } from '../people/change.ts';
import { refuseDeletedOrg } from '../people/organisations.ts';
import { retryOnConflict } from '../people/retry.ts';
import { requireWhole } from '../people/whole-credential.ts';
import { requireTarget } from '../sharing/transfer.ts';
import type { KeyRing } from './key-ring.ts';
import { type SecretName, sealSecret } from './user-secrets.ts';

/** Secrets that a scope may have: more is a store of its own. */
const MAX_SECRETS = 500;

/** What keeping secrets works with. */
export interface KeepingParts extends ChangeParts {
  readonly keys: KeyRing;
}

/** Secrets of people and organisations; what a session gets of them is judged elsewhere. */
export interface SecretKeeping {
  /** Those whose names a principal may see: of the scopes it holds, in whatever role. */
  list(principal: Principal, filter: { readonly scope?: Scope }, page: PageRequest): Promise<Page<SecretEntry>>;
  /** Sets or replaces one. @throws TowlineError `not_found`, `forbidden`, `invalid_request`, `conflict`, `org_deleted`. */
  set(asker: Asker, place: SecretName, value: string): Promise<Secret>;
  /** @throws TowlineError `not_found`, `forbidden`. */
  remove(asker: Asker, place: SecretName): Promise<void>;
}

/** Makes the keeping of secrets. */
export function createSecretKeeping(parts: KeepingParts): SecretKeeping {
  const { store } = parts;
  // Secrets set at the same moment must not all find room below the bound.
  const inTurn = createTurns();
  return {
    list: (principal, filter, page) => store.secrets.listEntries(filter, page, callerOf(principal)),
    async set(asker, place, value) {
      const { principal } = asker;
      requireToSet(principal, place.scope);
      refuseFault(secretNameFault(place.name), 'name');
      refuseFault(secretValueFault(value), 'value');
      await requireTarget(parts, principal, place.scope);
      const sealed = sealSecret(parts.keys, place, value);
      const secret = await inTurn(() => retryOnConflict(() => write(parts, { place, sealed, by: principal.label })));
      await refuseLate(parts, place.scope);
      await recordChange(parts, doerOf(asker), { action: 'secret.set', owner: place.scope, detail: { ...place } });
      return secret;
    },
    async remove(asker, place) {
      const { principal } = asker;
      requireToSet(principal, place.scope);
      if (!(await store.secrets.remove(place.scope, place.name, callerOf(principal)))) throw absent();
      await recordChange(parts, doerOf(asker), { action: 'secret.removed', owner: place.scope, detail: { ...place } });
    },
  };
}

function requireToSet(principal: Principal, scope: Scope): void {
  requireOnScope(principal, scope, 'secret.set');
  requireWhole(principal);
}

function refuseFault(fault: string | null, field: string): void {
  if (fault !== null) throw new TowlineError('invalid_request', `${field}: ${fault}.`);
}

interface Writing {
  readonly place: SecretName;
  readonly sealed: Pick<Secret, 'sealed' | 'keyId'>;
  readonly by: string;
}

/** @throws TowlineError `store_conflict` when somebody else was faster. */
async function write({ store: { secrets }, clock }: KeepingParts, { place, sealed, by }: Writing): Promise<Secret> {
  const { scope, name } = place;
  const now = clock.now();
  const present = await secrets.get(scope, name, [scope]);
  const change = { ...sealed, updatedAt: now, updatedBy: by };
  if (present !== null) return secrets.update(scope, name, change, present.revision, [scope]);
  if ((await secrets.count(scope)) >= MAX_SECRETS) {
    throw new TowlineError('conflict', `${scope} has ${MAX_SECRETS} secrets, and more are not possible.`, { hint: 'Remove some first.' });
  }
  const made: Secret = { ...place, ...change, createdAt: now, createdBy: by, revision: 1 };
  if (!(await secrets.insert(made))) throw new TowlineError('store_conflict');
  return made;
}

/** One that was set while its organisation was being deleted must not stay behind. */
async function refuseLate({ store }: KeepingParts, scope: Scope): Promise<void> {
  try {
    await refuseDeletedOrg(store, scope);
  } catch (error) {
    // Only then: a store that failed says nothing about the organisation.
    if (!isTowlineError(error) || error.code !== 'org_deleted') throw error;
    const { items } = await store.secrets.listEntries({ scope }, { limit: MAX_SECRETS }, [scope]);
    for (const { name } of items) await store.secrets.remove(scope, name, [scope]);
    throw error;
  }
}

function absent(): TowlineError {
  return new TowlineError('not_found', undefined, { hint: '`towline secrets list` shows yours; with --scope those of an organisation.' });
}
