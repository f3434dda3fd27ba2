import { z } from 'zod';

/** What the program that works on files tells of one file: a path as bytes, one character each. */
export const fileReportSchema = z.object({
  path: z.string(),
  bytes: z.int().min(0),
  ok: z.boolean(),
  code: z.string().optional(),
  removed: z.literal(true).optional(),
});
/** See {@link fileReportSchema}. */
export type FileReport = z.infer<typeof fileReportSchema>;

/** What it tells of many files that are not noted by name. */
export const moreFilesSchema = z.object({ files: z.int().min(1), failed: z.int().min(0), bytes: z.int().min(0) });
/** See {@link moreFilesSchema}. */
export type MoreFiles = z.infer<typeof moreFilesSchema>;
