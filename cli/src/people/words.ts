import { ROLES, type Role } from '@towline/contract';
import { normaliseEmail, type OrgId, parseOrgId, parseScope, type Scope, TowlineError } from '@towline/protocol';
import { Option } from 'commander';
import type { Typed } from '../invocation/program.ts';
import { shown } from '../output/terminal-text.ts';

/** Role given where none is named: enough to work with a device, not to give it away. */
export const USUAL_ROLE: Role = 'operator';
/** Longest word of the user that an error repeats, characters. */
const LONGEST_REPEATED = 80;

/** `user:EMAIL` or `org:ID`. @throws TowlineError `usage`. */
export function readScope(text: string): Scope {
  const scope = parseScope(text);
  if (scope !== null) return scope;
  throw new TowlineError('usage', `“${shown(text, LONGEST_REPEATED)}” is no scope.`, { hint: 'A scope is user:EMAIL or org:ID.' });
}

/** An option that is a scope, where it was given. @throws TowlineError `usage`. */
export function scopeOption(value: Typed['options'][string]): Scope | undefined {
  return typeof value === 'string' ? readScope(value) : undefined;
}

/** `acme` or `org:acme`. @throws TowlineError `usage`. */
export function readOrg(text: string): OrgId {
  const id = parseOrgId(text.startsWith('org:') ? text.slice(4) : text);
  if (id !== null) return id;
  throw new TowlineError('usage', `“${shown(text, LONGEST_REPEATED)}” is no id of an organisation.`, {
    hint: 'It has 1 to 63 lower-case letters, digits and inner dashes, as in acme or acme-berlin.',
  });
}

/** `alice@example.com` or `user:alice@example.com`, normalised. @throws TowlineError `usage`. */
export function readEmail(text: string): string {
  const email = normaliseEmail(text.startsWith('user:') ? text.slice(5) : text);
  if (email !== null) return email;
  throw new TowlineError('usage', `“${shown(text, LONGEST_REPEATED)}” is no e-mail address.`, { hint: 'Give it as in alice@example.com.' });
}

/** The option `--role`. */
export function roleOption(description: string): Option {
  return new Option('--role <role>', description).choices(ROLES).default(USUAL_ROLE);
}

/** An option that may be given several times; its value is a list. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value]);
}

/** The values of a {@link repeatable} option; undefined when it was not given. */
export function valuesOf(value: Typed['options'][string]): readonly string[] | undefined {
  return Array.isArray(value) ? (value as readonly string[]) : undefined;
}

/** The value of an option that was given with one. */
export function textOf(value: Typed['options'][string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
