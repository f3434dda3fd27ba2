import { normaliseEmail, parseScope, type Scope } from '@towline/protocol';
import { z } from 'zod';
import { parsePasswordHash } from './password-hash.ts';
import { MIN_PASSWORD_LENGTH, passwordWeakness } from './password-strength.ts';

const MAX_USERS = 1_000;
const MAX_SCOPES = 1_000;
const USERNAME = 'expected a user name of 1 to 128 characters without colon, control characters and space around it';
const HASH = 'expected a hash as `towline-relay hash-password` prints it';
const EMAIL = 'expected an e-mail address';
const SCOPE = 'expected user:EMAIL or org:ID';
const STREAM = 'expected the name of a stream';
const PASSWORD = `expected a password of at least ${MIN_PASSWORD_LENGTH} characters that nobody guesses; better, list the user under users with a password_hash`;

// A message never shows what was found where that may be a password.
const username = z
  .string({ error: USERNAME })
  .refine(isUsername, USERNAME)
  .transform((text) => text.normalize('NFC'));
const scopeRole = z.strictObject({
  scope: z
    .string({ error: SCOPE })
    .refine((text) => parseScope(text) !== null, SCOPE)
    .transform((text): Scope => parseScope(text)!),
  role: z.enum(['viewer', 'operator', 'admin'], { error: 'expected viewer, operator or admin' }),
});
const user = z.strictObject({
  username: username.describe('Name to log in by, at most one user each'),
  password_hash: z
    .string({ error: HASH })
    .refine((text) => parsePasswordHash(text) !== null, HASH)
    .transform((text) => parsePasswordHash(text)!)
    .describe('What towline-relay hash-password prints'),
  email: z
    .string({ error: EMAIL })
    .refine((text) => normaliseEmail(text) !== null, EMAIL)
    .transform((text) => normaliseEmail(text)!)
    .optional()
    .describe('Address that counts as verified'),
  scopes: z.array(scopeRole, { error: 'expected a list of scopes and roles' }).max(MAX_SCOPES).default([]).describe('What the user holds'),
  streams: z
    .array(z.string({ error: STREAM }).regex(/^[a-z0-9][a-z0-9-]{0,62}$/, STREAM), { error: 'expected a list of streams' })
    .optional()
    .describe('Kinds of streams the user is limited to'),
  admin: z.boolean({ error: 'expected true or false' }).default(false).describe('Whether the user is a platform admin'),
});

/** A user of the config. */
export type BasicUser = z.output<typeof user>;

/** Options: `users`; or `username` and `password` in plain, as older files have it, for one user who is a platform admin. */
export const optionsSchema = z
  .strictObject({
    users: z.array(user, { error: 'expected a list of users' }).min(1, 'expected at least one user').max(MAX_USERS).optional(),
    username: username.optional().describe('Name of the only user, a platform admin'),
    password: z.string({ error: PASSWORD }).optional().describe('Password of that user, in plain'),
  })
  .superRefine((options, context) => {
    for (const { path, message } of faultsOf(options)) context.addIssue({ code: 'custom', path: [...path], message });
  });

/** Checked options: either `users`, or `username` and `password`. */
export type BasicOptions = z.output<typeof optionsSchema>;

interface OptionFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function faultsOf({ users, username: one, password }: BasicOptions): readonly OptionFault[] {
  const plain = one !== undefined || password !== undefined;
  if (users !== undefined && plain) return [{ path: [], message: 'expected either users, or username and password, found both' }];
  if (users !== undefined) return repeated(users);
  if (one === undefined) return [{ path: plain ? ['username'] : [], message: plain ? USERNAME : 'expected users, found none' }];
  const weakness = password === undefined ? 'nothing' : passwordWeakness(password, one);
  return weakness === null ? [] : [{ path: ['password'], message: `${PASSWORD}; found ${weakness}` }];
}

function repeated(users: readonly BasicUser[]): readonly OptionFault[] {
  const names = users.map(({ username: name }) => name);
  return names.flatMap((name, at) =>
    names.indexOf(name) === at
      ? []
      : [{ path: ['users', at, 'username'], message: `expected each user once, found the name of users.${names.indexOf(name)}` }],
  );
}

/** RFC 7617: no colon, no control characters. */
function isUsername(text: string): boolean {
  const { length } = [...text];
  return length >= 1 && length <= 128 && !/[:\p{C}]/u.test(text) && text === text.trim();
}
