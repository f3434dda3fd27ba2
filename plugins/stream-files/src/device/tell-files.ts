import type { Writable } from 'node:stream';
import { MAX_NOTED_FILES } from '../limits.ts';
import type { FileReport, MoreFiles } from './file-report.ts';

/** How long what is not told by name is gathered, milliseconds: what is lost at most when the program is killed. */
const GATHER_MS = 100;

/** Tells the runtime what is done with files, one line of JSON each. */
export interface FileTeller {
  /** One more file. */
  tell(report: FileReport): void;
  /** Tells what is left. */
  finish(): void;
}

/** Makes what tells on `output`. Files beyond those that are noted by name are told together: a line for each would keep two processes busy. */
export function createFileTeller(output: Writable): FileTeller {
  let named = 0;
  let more: MoreFiles | null = null;
  const tellMore = () => {
    if (more !== null) output.write(`${JSON.stringify(more)}\n`);
    more = null;
  };
  return {
    tell(report) {
      if (named < MAX_NOTED_FILES) {
        named += 1;
        output.write(`${JSON.stringify(report)}\n`);
        return;
      }
      if (more === null) setTimeout(tellMore, GATHER_MS).unref();
      const { files, failed, bytes } = more ?? { files: 0, failed: 0, bytes: 0 };
      more = { files: files + 1, failed: failed + (report.ok ? 0 : 1), bytes: bytes + report.bytes };
    },
    finish: tellMore,
  };
}
