import { readFileSync } from 'node:fs';
import type { CliInvocation } from '@towline/contract';
import { printable, TowlineError } from '@towline/protocol';
import { planCopy } from '../copy/place.ts';
import { filesBodySchema } from '../messages.ts';
import { createExcludes } from '../tree/excludes.ts';
import { faultCode, faultText } from '../tree/file-fault.ts';
import type { Sync } from './attempt-sync.ts';

/** Reads the words and options of a sync. @throws TowlineError `usage`, `file_missing`, `file_failed`. */
export function planSync({ args, options }: Omit<CliInvocation, 'device'>): Sync {
  if (args.length > 2) throw new TowlineError('usage', 'One folder is made like one other.', { hint: 'Use `towline sync SOURCE TARGET`.' });
  const { direction, device, sources, target } = planCopy(args);
  const exclude = patternsOf(options);
  const [dryRun, checksum] = [options.dryRun === true, options.checksum === true];
  const cannot = options.watch === true ? '--watch' : checksum ? '--checksum' : null;
  if (dryRun && cannot !== null) {
    throw new TowlineError('usage', `--dry-run and ${cannot} cannot be used together.`, {
      hint: 'A dry run looks once, at sizes and times.',
    });
  }
  const source = sources[0]!;
  const rules = { exclude, excludes: createExcludes(exclude), delete: options.delete === true, dryRun, checksum };
  return { direction, device, source, target, ...rules };
}

/** Patterns of a file come before those of the command line, which so have the last word. */
function patternsOf({ exclude = [], excludeFrom }: CliInvocation['options']): readonly string[] {
  const lines = typeof excludeFrom === 'string' ? readLines(excludeFrom) : [];
  const patterns = [...lines.filter((line) => line !== '' && !line.startsWith('#')), ...(exclude as readonly string[])];
  const checked = filesBodySchema.safeParse({ operation: 'sync_read', path: '', exclude: patterns });
  if (checked.success) return patterns;
  throw new TowlineError('usage', `These patterns cannot be used: ${checked.error.issues[0]?.message ?? ''}.`);
}

function readLines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8')
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/);
  } catch (error) {
    const code = faultCode(error);
    throw new TowlineError(code === 'ENOENT' ? 'file_missing' : 'file_failed', `${printable(path)}: ${faultText(code)}`);
  }
}
