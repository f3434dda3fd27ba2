import type { Readable } from 'node:stream';
import type { DeviceContext, SessionNote } from '@towline/contract';
import { printable } from '@towline/protocol';
import { z } from 'zod';
import { MAX_NOTED_FILES } from '../limits.ts';
import type { FilesBody } from '../messages.ts';
import { shownPath } from '../tree/names.ts';
import { type FileReport, fileReportSchema, type MoreFiles, moreFilesSchema } from './file-report.ts';

/** Characters of a path in a note: a note holds 2,000 bytes. */
const MAX_NOTED_PATH = 400;
/** Characters of a line that go to the log. */
const MAX_LOGGED = 500;
/** Longest line that is read, characters: a report holds a path, escaped. The user it runs as may have the program write anything. */
const MAX_LINE = 65_536;

const reportSchema = z.union([fileReportSchema, moreFilesSchema]);

/** Notes in the audit trail what a session does with files. */
export interface FileNotes {
  /** Reads what the program tells, to its end. */
  follow(lines: Readable): Promise<void>;
  /** Says how much was not noted by name. */
  finish(): void;
}

/** Makes the notes of one session. */
export function createFileNotes({ note, log }: Pick<DeviceContext, 'note' | 'log'>, { operation }: FilesBody): FileNotes {
  const rest = { files: 0, failed: 0, bytes: 0 };
  let noted = 0;
  const add = ({ files, failed, bytes }: MoreFiles) => {
    rest.files += files;
    rest.failed += failed;
    rest.bytes += bytes;
  };
  const take = (report: FileReport) => {
    const isNoted = noted < MAX_NOTED_FILES && note(noteOf(report, operation));
    if (isNoted) noted += 1;
    else add({ files: 1, failed: report.ok ? 0 : 1, bytes: report.bytes });
  };
  return {
    async follow(lines) {
      for await (const line of boundedLines(lines)) {
        const report = reportOf(line);
        if (report === null) log.warn('the program that works on files wrote', { line: printable(line.slice(0, MAX_LOGGED)) });
        else if ('path' in report) take(report);
        else add(report);
      }
    },
    finish() {
      if (rest.files === 0) return;
      const outcome = rest.failed === 0 ? 'ok' : 'failed';
      const kept = note({ outcome, detail: { operation, not_named: rest.files, failed: rest.failed, bytes: rest.bytes } });
      if (!kept) log.warn('the journal is full; files of a session are not in the audit trail', { ...rest });
    },
  };
}

/** The lines of a text; of one that is too long only the beginning. */
export async function* boundedLines(input: Readable): AsyncGenerator<string> {
  let rest = '';
  for await (const text of input.setEncoding('utf8') as AsyncIterable<string>) {
    const [first = '', ...others] = text.split('\n');
    rest = (rest + first).slice(0, MAX_LINE);
    for (const other of others) {
      yield rest;
      rest = other.slice(0, MAX_LINE);
    }
  }
  if (rest !== '') yield rest;
}

function noteOf({ path, bytes, ok, code, removed }: FileReport, opened: string): SessionNote {
  const shown = shownPath(Buffer.from(path, 'latin1'));
  const cut = shown.length > MAX_NOTED_PATH ? `${shown.slice(0, MAX_NOTED_PATH - 1)}…` : shown;
  const operation = removed ? 'delete' : opened;
  return { outcome: ok ? 'ok' : 'failed', detail: { operation, path: cut, bytes, ...(code === undefined ? {} : { reason: code }) } };
}

function reportOf(line: string): FileReport | MoreFiles | null {
  try {
    return reportSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}
