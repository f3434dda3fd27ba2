import type { AuditView } from '@towline/contract';
import type { Context } from '../context.ts';
import type { Typed } from '../invocation/program.ts';
import { tableLines } from '../output/table.ts';
import { shown } from '../output/terminal-text.ts';
import { openRelay } from '../relay/access.ts';
import { readList } from '../relay/pages.ts';
import { AUDIT_RECORD } from '../relay/views.ts';
import { AUDIT_COLUMNS, detailLines } from './audit-lines.ts';
import { readAuditOptions } from './audit-options.ts';

/** Longest cursor that is printed, characters; those of our relay have some dozen. */
const LONGEST_CURSOR = 500;

/** Reads and prints the trail, newest first; of one device where one is named. */
export async function printTrail(context: Context, options: Typed['options'], device: string | undefined): Promise<void> {
  const { host, output } = context;
  const wanted = readAuditOptions(options, host.now());
  using relay = await openRelay(context);
  const list = await readList<AuditView>(relay.api, {
    path: '/v1/audit',
    shape: AUDIT_RECORD,
    query: { ...wanted.query, device, order: 'descending' },
    limit: wanted.limit,
    ...(wanted.cursor === undefined ? {} : { cursor: wanted.cursor }),
    signal: host.signal,
  });
  if (output.json) return output.document(list);
  if (!wanted.details || list.items.length === 0) output.table(AUDIT_COLUMNS, list.items, 'no records');
  else printDetails(context, list.items);
  if (list.next !== null) output.note(`there are more records; --limit shows more, --cursor ${shown(list.next, LONGEST_CURSOR)} goes on`);
}

/** The table, with the details of each record below its line. */
function printDetails({ output }: Context, records: readonly AuditView[]): void {
  const [heading, ...lines] = tableLines(AUDIT_COLUMNS, records, output.colours);
  output.line([heading, ...lines.flatMap((line, at) => [line, ...detailLines(records[at]!)])].join('\n'));
}
