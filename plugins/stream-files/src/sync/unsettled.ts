import type { Removal, TransferObserver } from '../observer.ts';
import { Coverage } from '../tree/coverage.ts';

/** What one run has left to be done. */
export interface Unsettled {
  /** Where something failed. */
  readonly failed: Coverage;
  /** Folders that the receiver lacked, and of which not everything was announced. */
  readonly missing: Coverage;
}

/** Notes what a run leaves, beside what else observes it. */
export function noteUnsettled(observer: TransferObserver, coverage: Coverage): { observer: TransferObserver; unsettled: Unsettled } {
  const unsettled: Unsettled = { failed: new Coverage(), missing: new Coverage() };
  const { failed, missing } = unsettled;
  const noting: TransferObserver = {
    ...observer,
    onOutcome(outcome) {
      const { path, kind, status, change } = outcome;
      if (status === 'failed') failed.addFolder(folderOf(path));
      if (status === 'failed' && kind === 'folder') failed.addTree(path);
      if (kind === 'folder' && change === 'new' && !coverage.has(path)) missing.addTree(path);
      observer.onOutcome?.(outcome);
    },
    onOmitted(path, code) {
      if (!isNoFile(code)) {
        failed.addFolder(folderOf(path));
        // A folder that cannot be read: it is read again only when it is meant itself.
        failed.addTree(path);
      }
      observer.onOmitted?.(path, code);
    },
    onRemoved(removal) {
      if (removal.code !== undefined) noteKept(failed, removal);
      observer.onRemoved?.(removal);
    },
  };
  return { observer: noting, unsettled };
}

/** Something could not be removed. It, or any folder that holds it, may be what the sender lacks: each is asked for again by its name. */
function noteKept(failed: Coverage, { path, kind, code }: Removal): void {
  // Of the root: more than is remembered, in any folder.
  if (path.length === 0 && code === 'too_many') return failed.addTree(Buffer.alloc(0));
  for (let end = path.indexOf('/'); end !== -1 && !failed.isWhole; end = path.indexOf('/', end + 1)) failed.addName(path.subarray(0, end));
  failed.addFolder(folderOf(path));
  if (kind === 'folder') failed.addFolder(path);
}

/** Whether it is nothing that could be sent, and no failure: a device, a FIFO, a socket, what an unfinished copy left. */
export function isNoFile(code: string): boolean {
  return code === 'special' || code === 'partial';
}

function folderOf(path: Buffer): Buffer {
  return path.subarray(0, Math.max(0, path.lastIndexOf('/')));
}
