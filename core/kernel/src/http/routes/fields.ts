import { ROLES, TowlineError } from '@towline/contract';
import { normaliseEmail, type OrgId, parseOrgId, parseScope, printable, type Scope } from '@towline/protocol';
import { z } from 'zod';

/** Text of a person in one line: what other people's terminals show must not be able to move the cursor. */
export const lineOf = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => text.trim() !== '' && printable(text) === text, 'expected text in one line, without control characters');

/** A role. */
export const roleField = z.enum(ROLES as readonly ['viewer', 'operator', 'admin']);
/** A scope as text; {@link scopeOf} reads it. */
export const scopeField = z.string().min(1).max(320);
/** Names of kinds of streams; at least one. */
export const streamsField = z
  .array(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected the name of a kind of stream'))
  .min(1)
  .max(64);
/** A moment, RFC 3339. */
export const momentField = z.iso.datetime({ offset: true });
/** Why something is done, told to whom it concerns. */
export const reasonField = lineOf(500);

/** @throws TowlineError `invalid_request`. */
export function scopeOf(text: string, field: string): Scope {
  const scope = parseScope(text);
  if (scope === null) throw new TowlineError('invalid_request', `${field}: expected user:EMAIL or org:ID, the id in lower case.`);
  return scope;
}

/** A scope that may be left out. @throws TowlineError `invalid_request`. */
export function optionalScopeOf(text: string | undefined, field: string): Scope | null {
  return text === undefined ? null : scopeOf(text, field);
}

/** @throws TowlineError `invalid_request`. */
export function emailOf(text: string, field: string): string {
  const email = normaliseEmail(text);
  if (email === null) throw new TowlineError('invalid_request', `${field}: expected an e-mail address.`);
  return email;
}

/** @throws TowlineError `invalid_request`. */
export function newOrgIdOf(text: string): OrgId {
  const id = parseOrgId(text);
  if (id === null)
    throw new TowlineError(
      'invalid_request',
      'id: expected 1 to 63 of the letters a to z in lower case, digits and dashes, no dash at an end.',
    );
  return id;
}
