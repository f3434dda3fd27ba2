import { secretWordsSchema } from '@towline/protocol';
import { z } from 'zod';

/** Protocol of the stream. */
export const EXEC_PROTOCOL = '/exec/1';

/** Characters of a terminal's side: more is nobody's screen, and the kernel holds 16 bits. */
const side = z.int().min(1).max(10_000);
const noNul = (text: string) => !text.includes('\0');

/** A terminal for the command. */
export const terminalSchema = z.strictObject({
  cols: side,
  rows: side,
  /** Type of the user's terminal, TERM. It becomes part of an environment, and of a file name in terminfo: no slash. */
  term: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$/, 'expected the name of a terminal type'),
});

/** Body of the open message to the device. */
export const execBodySchema = z.strictObject({
  /** The words of the command; the first is the program. */
  argv: z
    .array(z.string().refine(noNul, 'a word cannot hold a NUL character'))
    .min(1, 'expected a command')
    .max(4_096)
    .refine((words) => words[0] !== '', 'the name of a program cannot be empty'),
  tty: terminalSchema.exactOptional(),
  /** Whether the client sends input; without, the command reads an empty file. */
  stdin: z.boolean(),
});
/** See {@link execBodySchema}. */
export type ExecBody = z.infer<typeof execBodySchema>;

/** Body of the open message of a client: what the device is asked, and the secrets that the relay adds to it. */
export const execRequestSchema = execBodySchema.extend({ secrets: secretWordsSchema.exactOptional() });
/** See {@link execRequestSchema}. */
export type ExecRequest = z.infer<typeof execRequestSchema>;

/** Messages of the client while the command runs. */
export const execControlSchema = z.union([
  z.strictObject({ signal: z.enum(['INT', 'TERM', 'HUP', 'QUIT']) }),
  z.strictObject({ resize: z.strictObject({ cols: side, rows: side }) }),
]);
/** See {@link execControlSchema}. */
export type ExecControl = z.infer<typeof execControlSchema>;
