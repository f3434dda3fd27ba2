import { z } from 'zod';
import { parseByteSize } from './byte-size.ts';

/** Smallest file that may be asked for, bytes: a record with its detail has a few hundred. */
const MIN_SIZE = 1_024;

const sizeSchema = z.string().transform((text, context) => {
  const bytes = parseByteSize(text);
  if (bytes !== null && bytes >= MIN_SIZE) return bytes;
  context.addIssue({ code: 'custom', message: 'expected a size of at least 1KiB, as "100MB" or "1GiB"' });
  return z.NEVER;
});

/** Options of the file sink, as in the config. */
export const optionsSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .describe('File to which records are appended, one JSON object a line. A relative path counts from the folder of the config file.'),
  max_size: sizeSchema.prefault('100MB').describe('Size at which the file is set aside as PATH.1 and a new one is begun'),
  keep: z.int().min(1).max(1_000).default(10).describe('Files set aside that are kept; older ones are deleted'),
});

/** Options of the file sink, checked: `max_size` in bytes. */
export type FileSinkOptions = z.output<typeof optionsSchema>;
