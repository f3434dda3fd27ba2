import type { CliHost } from '@towline/contract';
import { printable } from '@towline/protocol';
import type { EntryOutcome, TransferObserver } from '../observer.ts';
import { faultText } from '../tree/file-fault.ts';
import { joinPath, shownPath } from '../tree/names.ts';
import { byteText, timeText } from './byte-text.ts';
import { type Progress, showProgress } from './progress.ts';

/** Failures that are told by name; the rest is counted. */
const MAX_TOLD = 1_000;

/** How far a copy is. */
export interface CopyFigures {
  /** Files that are settled. */
  readonly files: number;
  readonly totalFiles: number | null;
  /** Bytes of content that were moved or found to be there. */
  readonly bytes: number;
  readonly totalBytes: number | null;
  /** Bytes that went over the line. */
  readonly moved: number;
}

/** Tells what a copy does, while it goes on and at its end. One for all sources and all attempts. */
export class CopyReport {
  readonly #host: CliHost;
  readonly #startedAt = performance.now();
  readonly #progress: Progress;
  /** What earlier attempts and sources did. */
  #before = { copied: 0, moved: 0 };
  /** Files of this source that earlier attempts copied: this one finds them unchanged. */
  #copiedBefore = 0;
  #now = zero();
  #whole = { same: 0, failed: 0, skipped: 0 };
  #told = 0;

  constructor(host: CliHost) {
    this.#host = host;
    this.#progress = showProgress(host, () => this.#figures());
  }

  /** An attempt at one source begins. `name` stands before the names of its files. */
  attempt(name: string): TransferObserver {
    this.#copiedBefore += this.#now.copied;
    this.#before = { copied: this.#before.copied + this.#now.copied, moved: this.#before.moved + this.#now.moved };
    this.#now = zero();
    return {
      onTotal: ({ files, bytes }) => Object.assign(this.#now, { totalFiles: files, totalBytes: bytes }),
      onBytes: (count, kind) => {
        this.#now.bytes += count;
        if (kind === 'moved') this.#now.moved += count;
      },
      onOutcome: (outcome) => this.#settled(name, outcome),
      onOmitted: (path, code) => {
        if (isNoFile(code)) this.#now.skipped += 1;
        else this.#now.failed += 1;
        this.#tell(name, path, { status: isNoFile(code) ? 'omitted' : 'failed', code });
      },
    };
  }

  /** The attempt carried the source out, as far as it could be. */
  finishSource(): void {
    const { same, failed, skipped } = this.#now;
    const whole = this.#whole;
    const unchanged = Math.max(0, same - this.#copiedBefore);
    // What this attempt copied is counted when the next one begins, for another source.
    this.#copiedBefore = -this.#now.copied;
    this.#whole = { same: whole.same + unchanged, failed: whole.failed + failed, skipped: whole.skipped + skipped };
  }

  /** Says something between. */
  note(text: string): void {
    this.#progress.clear();
    if (this.#host.json) this.#event({ event: 'note', message: text });
    else this.#host.stderr.write(`towline: ${text}\n`);
  }

  /** Says how it came out. Answers the exit code. */
  finish(): number {
    this.#progress.stop();
    const copied = this.#before.copied + this.#now.copied;
    const moved = this.#before.moved + this.#now.moved;
    const { same, failed, skipped } = this.#whole;
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    if (this.#host.json) this.#event({ event: 'summary', copied, unchanged: same, failed, left_out: skipped, bytes: moved, seconds });
    else if (failed > 0 || this.#host.stderr.isTTY)
      this.#host.stderr.write(`towline: ${summary({ copied, moved, seconds, ...this.#whole })}\n`);
    return failed > 0 ? 1 : 0;
  }

  /** Stops without a word: an error says what happened. */
  stop(): void {
    this.#progress.stop();
  }

  #figures(): CopyFigures {
    const { settled, totalFiles, bytes, totalBytes } = this.#now;
    return { files: settled, totalFiles, bytes, totalBytes, moved: this.#before.moved + this.#now.moved };
  }

  #settled(name: string, { path, kind, size, status, code }: EntryOutcome): void {
    if (kind === 'file') this.#now.settled += 1;
    if (status === 'failed') {
      this.#now.failed += 1;
      return this.#tell(name, path, { status, code: code ?? 'unknown' });
    }
    if (kind === 'folder') return;
    if (status === 'same') this.#now.same += 1;
    else this.#now.copied += 1;
    if (this.#host.json) this.#event({ event: 'file', path: pathText(name, path), kind, bytes: size, status });
  }

  #tell(name: string, path: Buffer, { status, code }: { status: string; code: string }): void {
    this.#told += 1;
    if (this.#told > MAX_TOLD) return;
    const shown = pathText(name, path);
    if (this.#host.json) return this.#event({ event: 'file', path: shown, status, code, message: faultText(code) });
    this.#progress.clear();
    this.#host.stderr.write(`towline: ${shown}: ${faultText(code)}\n`);
    if (this.#told === MAX_TOLD) this.#host.stderr.write('towline: further failures are only counted\n');
  }

  #event(event: object): void {
    this.#host.stdout.write(`${JSON.stringify(event)}\n`);
  }
}

/** Whether it is nothing that could be copied: left out with a word, and no failure. */
function isNoFile(code: string): boolean {
  return code === 'special' || code === 'partial';
}

function zero() {
  return {
    copied: 0,
    same: 0,
    failed: 0,
    skipped: 0,
    settled: 0,
    bytes: 0,
    moved: 0,
    totalFiles: null as number | null,
    totalBytes: null as number | null,
  };
}

function pathText(name: string, path: Buffer): string {
  return path.length === 0 ? printable(name) : shownPath(joinPath(Buffer.from(name), path));
}

function summary(of: { copied: number; moved: number; seconds: number; same: number; failed: number; skipped: number }): string {
  const rate = of.seconds > 0 ? `, ${byteText(Math.round(of.moved / of.seconds))}/s` : '';
  const parts = [
    `${of.copied} copied (${byteText(of.moved)} in ${timeText(of.seconds)}${rate})`,
    of.same > 0 && `${of.same} unchanged`,
    of.failed > 0 && `${of.failed} failed`,
    of.skipped > 0 && `${of.skipped} left out`,
  ];
  return parts.filter(Boolean).join(', ');
}
