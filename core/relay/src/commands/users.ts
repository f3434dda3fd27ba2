import { disableStoredUser, enableStoredUser, listUsers } from '@towline/kernel';
import { printable } from '@towline/protocol';
import type { LocationOptions } from '../program.ts';
import { withStore } from '../with-store.ts';

/** `towline-relay users list`: everybody who has logged in. */
export async function listUsersCommand(options: LocationOptions & { readonly json?: boolean }): Promise<void> {
  const users = await withStore(options, listUsers);
  const views = users.map(({ id, label, email, provider, disabledAt, lastSeenAt }) => ({
    id,
    label,
    email: email ?? null,
    provider,
    disabled: disabledAt !== undefined,
    last_seen_at: new Date(lastSeenAt).toISOString(),
  }));
  if (options.json) return void process.stdout.write(`${JSON.stringify({ items: views, next: null })}\n`);
  for (const { id, label, disabled, last_seen_at } of views) {
    process.stdout.write(`${printable(id)}  ${disabled ? 'disabled' : 'active  '}  ${last_seen_at}  ${printable(label)}\n`);
  }
}

/** `towline-relay users disable ID`. */
export async function disableUserCommand(id: string, options: LocationOptions & { readonly reason?: string }): Promise<void> {
  const { label } = await withStore(options, (parts) => disableStoredUser(parts, id, options.reason));
  process.stdout.write(`${printable(label)} is disabled; what they have open ends within a second\n`);
}

/** `towline-relay users enable ID`. */
export async function enableUserCommand(id: string, options: LocationOptions): Promise<void> {
  const { label } = await withStore(options, (parts) => enableStoredUser(parts, id));
  process.stdout.write(`${printable(label)} may log in again\n`);
}
