import { parseDuration } from '@towline/config/relay';
import { type ApiKey, type Role, TowlineError } from '@towline/contract';
import { createKey, type KeySpec, listKeys, revokeKey } from '@towline/kernel';
import { defined, printable } from '@towline/protocol';
import type { LocationOptions } from '../program.ts';
import { withStore } from '../with-store.ts';

/** Options of `keys create`. */
interface CreateOptions extends LocationOptions {
  readonly admin?: boolean;
  readonly email?: string;
  readonly enrol?: boolean;
  readonly org?: string;
  readonly count?: number;
  readonly scope: readonly string[];
  readonly role: Role;
  readonly stream: readonly string[];
  readonly expires?: string;
  readonly name?: string;
  readonly json?: boolean;
}

/** `towline-relay keys create`: prints the key, this once. */
export async function createKeyCommand(options: CreateOptions): Promise<void> {
  const spec = specOf(options);
  const created = await withStore(options, (parts) => createKey(parts, spec));
  process.stdout.write(options.json ? `${JSON.stringify(created)}\n` : `${created.key}\n`);
}

/** `towline-relay keys list`: never shows a secret. */
export async function listKeysCommand(options: LocationOptions & { readonly revoked?: boolean; readonly json?: boolean }): Promise<void> {
  const keys = await withStore(options, (parts) => listKeys(parts, options.revoked === true));
  const views = keys.map(keyView);
  if (options.json) return void process.stdout.write(`${JSON.stringify({ items: views, next: null })}\n`);
  for (const { id, kind, name, owner, state } of views) {
    process.stdout.write(`${id}  ${kind.padEnd(9)}  ${state.padEnd(8)}  ${printable(owner)}  ${printable(name)}\n`);
  }
}

/** `towline-relay keys revoke ID`. */
export async function revokeKeyCommand(id: string, options: LocationOptions & { readonly reason?: string }): Promise<void> {
  await withStore(options, (parts) => revokeKey(parts, id, options.reason));
}

function specOf(options: CreateOptions): KeySpec {
  const { admin, email, enrol, org, count, scope, role, stream, expires, name } = options;
  if (admin && enrol) throw new TowlineError('usage', 'A key is either of an admin (--admin) or for enrolling (--enrol).');
  if (!enrol && (org !== undefined || count !== undefined))
    throw new TowlineError('usage', '--org and --count belong to --enrol; for a person use --scope org:ID.');
  if (scope.length > 0 && (admin || enrol)) throw new TowlineError('usage', '--scope belongs to the key of a person (--email).');
  const common = { streams: stream, ...defined({ name, expiresInMs: expires === undefined ? undefined : durationOf(expires) }) };
  if (enrol) return { ...common, for: 'enrolment', ...defined({ org, email, count }) };
  if (admin) return { ...common, for: 'admin', ...defined({ email }) };
  if (email === undefined) throw new TowlineError('usage', 'Say for whom the key is: --admin, --email ADDRESS, or --enrol with --org ID.');
  return { ...common, for: 'user', email, scopes: scope, role };
}

function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms === null || ms === 0)
    throw new TowlineError('usage', `--expires: expected a duration such as 90d or 12h, found ${JSON.stringify(text)}.`);
  return ms;
}

function keyView(key: ApiKey) {
  const time = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());
  const expired = key.expiresAt !== undefined && key.expiresAt <= Date.now();
  return {
    id: key.id,
    kind: key.kind,
    name: key.name,
    owner: key.owner,
    admin: key.admin,
    scopes: key.scopes,
    streams: key.streams ?? null,
    remaining: key.remaining ?? null,
    state: key.revokedAt !== undefined ? 'revoked' : expired ? 'expired' : 'valid',
    created_at: time(key.createdAt),
    expires_at: time(key.expiresAt),
    last_used_at: time(key.lastUsedAt),
  };
}
