import { type AuditRecord, type AuditSink, type Log, type PluginLife, TowlineError } from '@towline/contract';
import { AppendFile } from './append-file.ts';
import type { FileSinkOptions } from './options.ts';
import { recordLine } from './record-line.ts';
import { rotateFiles } from './rotate.ts';

/**
 * Appends records to a file as JSON lines; a batch is on the disk when `write` resolves. At its largest size the file is
 * set aside with a number. A batch that failed may be given again: what of it is in the file already is left out.
 */
export class FileSink implements AuditSink, PluginLife {
  readonly #path: string;
  readonly #options: FileSinkOptions;
  readonly #log: Log;
  #file: AppendFile | null = null;
  /** Number of the last record that this process wrote. */
  #last = 0;
  #disposed = false;

  constructor(options: FileSinkOptions, log: Log) {
    this.#path = options.path;
    this.#options = options;
    this.#log = log;
  }

  async start(): Promise<void> {
    try {
      this.#file = await AppendFile.open(this.#path);
    } catch (cause) {
      throw this.#failure('cannot be opened', cause);
    }
  }

  async write(batch: readonly AuditRecord[]): Promise<void> {
    if (this.#disposed) throw new TowlineError('unavailable', `The audit file ${this.#path} was closed.`);
    try {
      await this.#write(batch.filter(({ number }) => number > this.#last));
    } catch (cause) {
      await this.#close().catch(() => undefined);
      throw this.#failure('cannot be written', cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#close();
  }

  async #write(records: readonly AuditRecord[]): Promise<void> {
    let file = await this.#currentFile();
    let waiting: Buffer[] = [];
    let waitingBytes = 0;
    for (const record of records) {
      const line = recordLine(record);
      const size = file.size + waitingBytes;
      if (size > 0 && size + line.length > this.#options.max_size) {
        await this.#append(file, waiting, record.number - 1);
        file = await this.#rotate();
        [waiting, waitingBytes] = [[], 0];
      }
      waiting.push(line);
      waitingBytes += line.length;
    }
    await this.#append(file, waiting, records.at(-1)?.number ?? this.#last);
  }

  async #append(file: AppendFile, lines: readonly Buffer[], last: number): Promise<void> {
    if (lines.length === 0) return;
    await file.append(Buffer.concat(lines));
    this.#last = last;
  }

  async #currentFile(): Promise<AppendFile> {
    if (this.#file !== null && (await this.#file.isInPlace())) return this.#file;
    if (this.#file !== null) this.#log.info('The audit file was moved away; a new one is begun.', { path: this.#path });
    await this.#close();
    this.#file = await AppendFile.open(this.#path);
    return this.#file;
  }

  async #rotate(): Promise<AppendFile> {
    await this.#close();
    await rotateFiles(this.#path, this.#options.keep);
    this.#file = await AppendFile.open(this.#path);
    return this.#file;
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.[Symbol.asyncDispose]();
  }

  #failure(what: string, cause: unknown): TowlineError {
    const why = cause instanceof Error ? cause.message : String(cause);
    const hint = 'Check the owner, mode and free space of its folder, or choose another path for the sink in the config.';
    return new TowlineError('unavailable', `The audit file ${this.#path} ${what}: ${why}.`, { hint, cause });
  }
}
