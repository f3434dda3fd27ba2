import { secretWordsSchema } from '@towline/protocol';
import { z } from 'zod';

/** Protocol of the stream. */
export const SHELL_PROTOCOL = '/shell/1';

/** Characters of a terminal's side: more is nobody's screen, and the kernel holds 16 bits. */
const side = z.int().min(1).max(10_000);
/** These become part of an environment, and of file names in terminfo and the locales: no slash. */
const plainName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/, 'expected a plain name');

/** Body of the open message to the device. */
export const shellBodySchema = z.strictObject({
  cols: side,
  rows: side,
  /** Type of the user's terminal, TERM. */
  term: plainName,
  /** Locale of the user, LANG, where it has one. */
  lang: plainName.exactOptional(),
});
/** See {@link shellBodySchema}. */
export type ShellBody = z.infer<typeof shellBodySchema>;

/** Body of the open message of a client: what the device is asked, and the secrets that the relay adds to it. */
export const shellRequestSchema = shellBodySchema.extend({ secrets: secretWordsSchema.exactOptional() });
/** See {@link shellRequestSchema}. */
export type ShellRequest = z.infer<typeof shellRequestSchema>;

/** Messages of the client while the shell runs. `signal` is for a client whose terminal passes no keys on. */
export const shellControlSchema = z.union([
  z.strictObject({ resize: z.strictObject({ cols: side, rows: side }) }),
  z.strictObject({ signal: z.literal('INT') }),
]);
