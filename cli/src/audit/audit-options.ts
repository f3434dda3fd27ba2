import { TowlineError } from '@towline/protocol';
import type { Command } from 'commander';
import type { Typed } from '../invocation/program.ts';
import { readMoment } from './moment.ts';

/** Records shown when --limit is not given. */
const DEFAULT_LIMIT = 100;
/** Most records at once; more is what --cursor is for. */
const MAX_LIMIT = 100_000;

/** Declares the filters that both `towline audit` and `towline DEVICE audit` take. */
export function addAuditOptions(command: Command): Command {
  return command
    .option('--user <who>', 'only what this user did: e-mail address or id')
    .option('--action <name>', 'only this action, or its first part: `session` finds `session.opened`')
    .option('--since <time>', 'not before: `2h`, `7d`, or RFC 3339')
    .option('--until <time>', 'before: `2h`, `7d`, or RFC 3339')
    .option('--details', 'show addresses, sessions, bytes and what was done')
    .option('--limit <number>', `at most so many records (${DEFAULT_LIMIT})`)
    .option('--cursor <cursor>', 'go on where an earlier list ended: its `next`');
}

/** What of the trail is wanted, in the words of the API. */
export interface AuditRequest {
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly limit: number;
  readonly cursor?: string;
  readonly details: boolean;
}

/** Reads the filters. @throws TowlineError `usage`. */
export function readAuditOptions(options: Typed['options'], now: number): AuditRequest {
  const text = (name: string) => (typeof options[name] === 'string' ? (options[name] as string) : undefined);
  const moment = (name: 'since' | 'until') => {
    const given = text(name);
    return given === undefined ? undefined : readMoment(given, `--${name}`, now);
  };
  const cursor = text('cursor');
  return {
    query: { user: text('user'), action: text('action'), since: moment('since'), until: moment('until') },
    limit: readLimit(text('limit')),
    details: options.details === true,
    ...(cursor === undefined ? {} : { cursor }),
  };
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new TowlineError('usage', `--limit “${text}” is not a number from 1 to ${MAX_LIMIT}.`, {
    hint: 'Leave it out for the newest hundred.',
  });
}
