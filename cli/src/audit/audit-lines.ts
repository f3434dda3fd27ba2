import type { AuditView } from '@towline/contract';
import type { Column } from '../output/table.ts';
import { jsonText, shown } from '../output/terminal-text.ts';
import { bytesText, durationText, timeText } from '../output/times.ts';

/** Longest value of a detail that is printed, characters: a command line of some screen lines. */
const LONGEST_VALUE = 2_000;

/** Columns of the trail. */
export const AUDIT_COLUMNS: readonly Column<AuditView>[] = Object.freeze([
  { heading: 'TIME', text: (record) => timeText(record.at) },
  { heading: 'WHO', text: (record) => shown(record.actor.email ?? record.actor.label, 64) },
  { heading: 'ACTION', text: (record) => shown(record.action, 40) },
  { heading: 'DEVICE', text: (record) => (record.device === null || record.device === undefined ? '' : shown(record.device.name, 64)) },
  { heading: 'OUTCOME', text: outcomeText, colour: (record, colours) => (record.outcome === 'ok' ? colours.green : colours.red) },
] satisfies Column<AuditView>[]);

/** What `--details` prints below a record, indented. */
export function detailLines(record: AuditView): string[] {
  const facts = [
    record.actor.id && `by ${shown(record.actor.kind, 40)} ${shown(record.actor.id)}`,
    record.address && `from ${shown(record.address)}`,
    record.device && `device ${shown(record.device.id)}`,
    record.session && `session ${shown(record.session)}`,
    record.protocol && shown(record.protocol, 80),
  ];
  const lines = [facts, endFacts(record)].map((parts) => parts.filter(Boolean).join(', ')).filter((line) => line !== '');
  return [...lines, ...detailOf(record)].map((line) => `    ${line}`);
}

function endFacts(record: AuditView): (string | false)[] {
  return [
    isNumber(record.duration_ms) && `took ${durationText(record.duration_ms)}`,
    isNumber(record.bytes_to_device) && `${bytesText(record.bytes_to_device)} to the device`,
    isNumber(record.bytes_from_device) && `${bytesText(record.bytes_from_device)} from it`,
    isNumber(record.exit_code) && `exit code ${record.exit_code}`,
    isText(record.signal) && `signal ${shown(record.signal, 40)}`,
    isText(record.reported_by) && `reported by ${shown(record.reported_by, 40)}`,
  ];
}

/** What the stream plugin or the relay noted, by name. Its form is theirs, so values are shown as JSON unless they are texts. */
function detailOf({ detail }: AuditView): string[] {
  if (typeof detail !== 'object' || detail === null) return [];
  return Object.entries(detail).map(([name, value]) => {
    const text = typeof value === 'string' ? value : jsonText(value);
    return `${shown(name, 64)}: ${shown(text, LONGEST_VALUE)}`;
  });
}

function outcomeText(record: AuditView): string {
  const outcome = shown(record.outcome, 40);
  return isText(record.reason) && record.reason !== record.outcome ? `${outcome} (${shown(record.reason, 64)})` : outcome;
}

function isNumber(value: number | null | undefined): value is number {
  return typeof value === 'number';
}

function isText(value: string | null | undefined): value is string {
  return typeof value === 'string' && value !== '';
}
