import type { CliHost } from '@towline/contract';
import { byteText, timeText } from '../copy/byte-text.ts';
import { type Progress, showProgress } from '../copy/progress.ts';
import type { EntryOutcome, Removal, TransferObserver } from '../observer.ts';
import { faultText } from '../tree/file-fault.ts';
import { shownPath } from '../tree/names.ts';
import { isNoFile } from './unsettled.ts';

/** Failures that are told by name in one run; the rest is counted. */
const MAX_TOLD = 1_000;

/** Words for what is done, in a dry run. */
const WORDS = Object.freeze({ new: 'new', content: 'update', attributes: 'mode' });

/** Tells what a sync does, while it goes on and at its end. One for all runs and all attempts. */
export class SyncReport {
  readonly #host: CliHost;
  readonly #dryRun: boolean;
  readonly #progress: Progress;
  readonly #startedAt = performance.now();
  /** Of all runs. */
  readonly #all = { sent: 0, changed: 0, deleted: 0, bytes: 0 };
  /** Of the attempt that goes on, or was the last. */
  #now = zero();

  constructor(host: CliHost, { dryRun }: { readonly dryRun: boolean }) {
    this.#host = host;
    this.#dryRun = dryRun;
    this.#progress = showProgress(host, () => this.#figures());
  }

  /** Whether something failed in the last attempt after which nothing is deleted. */
  get isDeletingOff(): boolean {
    return this.#now.failed > this.#now.kept;
  }

  /** An attempt begins. */
  attempt(): TransferObserver {
    this.#now = zero();
    return {
      onTotal: ({ files, bytes }) => Object.assign(this.#now, { totalFiles: files, totalBytes: bytes }),
      onBytes: (count, kind) => {
        this.#now.bytes += count;
        if (kind === 'moved') this.#all.bytes += count;
      },
      onOutcome: (outcome) => this.#settled(outcome),
      onRemoved: (removal) => this.#removed(removal),
      onOmitted: (path, code) => this.#omitted(path, code),
    };
  }

  /** Says something between. */
  note(text: string): void {
    this.#progress.clear();
    if (this.#host.json) this.#event({ event: 'note', message: text });
    else this.#host.stderr.write(`towline: ${text}\n`);
  }

  /** A run of several has come to its end: what it did, when it did something. */
  finishRun(): void {
    const { sent, changed, deleted, failed } = this.#now;
    if (this.#host.json) this.#event({ event: 'run', sent, changed, deleted, unchanged: this.#now.same, failed });
    else if (sent + changed + deleted + failed > 0) this.note(counts({ sent, changed, deleted, failed, same: 0, skipped: 0 }).join(', '));
  }

  /** Says how it came out. Answers the exit code. */
  finish(): number {
    this.#progress.stop();
    const { sent, changed, deleted, bytes } = this.#all;
    const { same, failed, skipped } = this.#now;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    if (this.#host.json) {
      const figures = { sent, changed, deleted, bytes, unchanged: same, failed, left_out: skipped };
      this.#event({ event: 'summary', ...figures, dry_run: this.#dryRun, seconds });
    } else {
      const what = [`${byteText(bytes)} in ${timeText(seconds)}`, ...counts({ sent, changed, deleted, failed, same, skipped })];
      this.#host.stderr.write(`towline: ${this.#dryRun ? 'dry run, nothing was done: ' : ''}${what.join(', ')}\n`);
    }
    return failed > 0 ? 1 : 0;
  }

  /** Stops without a word: an error says what happened. */
  stop(): void {
    this.#progress.stop();
  }

  #figures() {
    const { settled, totalFiles, bytes, totalBytes } = this.#now;
    return { files: settled, totalFiles, bytes, totalBytes, moved: this.#all.bytes };
  }

  #settled({ path, kind, size, status, code, change = 'content' }: EntryOutcome): void {
    if (kind === 'file') this.#now.settled += 1;
    if (status === 'failed') return this.#fail(path, code ?? 'unknown');
    if (status === 'same') {
      if (kind === 'file') this.#now.bytes += change === 'content' ? size : 0;
      if (kind !== 'folder') this.#now.same += 1;
      return;
    }
    const isSent = kind !== 'folder' && change !== 'attributes';
    this.#now[isSent ? 'sent' : 'changed'] += 1;
    this.#all[isSent ? 'sent' : 'changed'] += 1;
    this.#tell({ what: WORDS[change], path, kind, more: { event: 'file', bytes: isSent ? size : 0, status, change } });
  }

  #removed({ path, kind, code }: Removal): void {
    if (code !== undefined) {
      this.#now.kept += 1;
      return this.#fail(path, code);
    }
    this.#now.deleted += 1;
    this.#all.deleted += 1;
    this.#tell({ what: 'delete', path, kind, more: { event: 'delete' } });
  }

  #tell({ what, path, kind, more }: { what: string; path: Buffer; kind: EntryOutcome['kind']; more: object }): void {
    const shown = path.length === 0 ? '.' : shownPath(path);
    if (this.#host.json) return this.#event({ ...more, path: shown, kind });
    if (this.#dryRun) this.#host.stdout.write(`${what.padEnd(6)} ${shown}${kind === 'folder' ? '/' : ''}\n`);
  }

  #omitted(path: Buffer, code: string): void {
    // Left out with a word, and no failure: nothing that could be sent.
    if (!isNoFile(code)) return this.#fail(path, code);
    this.#now.skipped += 1;
    this.#say(path, { status: 'omitted', code });
  }

  #fail(path: Buffer, code: string): void {
    this.#now.failed += 1;
    this.#say(path, { status: 'failed', code });
  }

  #say(path: Buffer, { status, code }: { status: string; code: string }): void {
    this.#now.told += 1;
    if (this.#now.told > MAX_TOLD) return;
    const shown = path.length === 0 ? '.' : shownPath(path);
    if (this.#host.json) return this.#event({ event: 'file', path: shown, status, code, message: faultText(code) });
    this.#progress.clear();
    this.#host.stderr.write(`towline: ${shown}: ${faultText(code)}\n`);
    if (this.#now.told === MAX_TOLD) this.#host.stderr.write('towline: further failures are only counted\n');
  }

  #event(event: object): void {
    this.#host.stdout.write(`${JSON.stringify(event)}\n`);
  }
}

function zero() {
  return {
    sent: 0,
    changed: 0,
    deleted: 0,
    same: 0,
    failed: 0,
    /** Failures that were none of sending: what could not be deleted. */
    kept: 0,
    skipped: 0,
    settled: 0,
    bytes: 0,
    told: 0,
    totalFiles: null as number | null,
    totalBytes: null as number | null,
  };
}

function counts(of: { sent: number; changed: number; deleted: number; same: number; failed: number; skipped: number }): string[] {
  return [
    `${of.sent} sent`,
    of.changed > 0 && `${of.changed} folders and modes`,
    of.deleted > 0 && `${of.deleted} deleted`,
    of.same > 0 && `${of.same} unchanged`,
    of.failed > 0 && `${of.failed} failed`,
    of.skipped > 0 && `${of.skipped} left out`,
  ].filter((text) => text !== false);
}
