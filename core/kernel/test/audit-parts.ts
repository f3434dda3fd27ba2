import { type AuditEvent, type AuditRecord, type AuditRepository, type AuditSink, type Log, TowlineError } from '@towline/contract';
import { linkRecords } from '../src/audit/chain.ts';

/** An audit repository in memory that keeps the contract, and can be told to fail. */
export class MemoryTrail implements AuditRepository {
  readonly records: AuditRecord[] = [];
  /** Sizes of the groups that arrived. */
  readonly groups: number[] = [];
  /** Runs at the begin of each append; may throw or wait. */
  onAppend: (() => Promise<void> | void) | undefined;
  /** Runs at the begin of each list; may throw. */
  onList: (() => void) | undefined;

  head() {
    const last = this.records.at(-1);
    return Promise.resolve(last ? { number: last.number, hash: last.hash } : null);
  }

  async append(records: readonly AuditRecord[]) {
    await this.onAppend?.();
    const first = records[0]!;
    const last = this.records.at(-1);
    if (first.number !== (last?.number ?? 0) + 1 || (last && first.previousHash !== last.hash)) throw new TowlineError('store_conflict');
    this.records.push(...(JSON.parse(JSON.stringify(records)) as AuditRecord[]));
    this.groups.push(records.length);
  }

  async list(_filter: unknown, order: 'ascending' | 'descending', page: { readonly cursor?: string; readonly limit: number }) {
    this.onList?.();
    const sorted = order === 'ascending' ? this.records : [...this.records].reverse();
    const begin = page.cursor === undefined ? 0 : sorted.findIndex(({ number }) => number === Number(page.cursor)) + 1;
    const items = sorted.slice(begin, begin + page.limit);
    return { items, next: begin + page.limit < sorted.length ? String(items.at(-1)!.number) : null };
  }

  /** What another process does beside the relay. */
  appendForeign(...events: AuditEvent[]) {
    const last = this.records.at(-1);
    this.records.push(...linkRecords(last ? { number: last.number, hash: last.hash } : null, events));
  }
}

/** A sink in memory that can be told to fail. */
export class MemorySink implements AuditSink {
  readonly records: AuditRecord[] = [];
  onWrite: ((batch: readonly AuditRecord[]) => Promise<void> | void) | undefined;
  running = 0;
  overlapped = false;

  async write(batch: readonly AuditRecord[]) {
    this.running += 1;
    this.overlapped ||= this.running > 1;
    try {
      await this.onWrite?.(batch);
      this.records.push(...batch);
    } finally {
      this.running -= 1;
    }
  }

  get numbers() {
    return this.records.map(({ number }) => number);
  }
}

/** A log that remembers. */
export function memoryLog() {
  const lines: { level: string; message: string; fields: unknown }[] = [];
  const at = (level: string) => (message: string, fields?: unknown) => void lines.push({ level, message, fields });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { log, lines, errors: () => lines.filter(({ level }) => level === 'error').map(({ message }) => message) };
}

/** An event to be recorded. */
export function event(action = 'login', more: Partial<AuditEvent> = {}): AuditEvent {
  return { at: 1_700_000_000_000, action, actor: { kind: 'user', id: 'local|a', label: 'a@example.com' }, outcome: 'ok', ...more };
}

/** Waits until a condition holds, a turn of the loop at a time. */
export async function until(condition: () => boolean, ms = 5_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('The condition did not come true in time.');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The numbers from..to. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_none, index) => from + index);
}
