import type { CliHost } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import { converse, failHere, here } from '../copy/attempt.ts';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import type { TransferObserver } from '../observer.ts';
import { sendFiles } from '../send/send-files.ts';
import type { Excludes } from '../tree/excludes.ts';
import { receiveSync } from './receive-sync.ts';
import { openSyncSource } from './sync-source.ts';

/** What is made like what. */
export interface Sync {
  readonly direction: 'to device' | 'from device';
  readonly device: string;
  readonly source: string;
  readonly target: string;
  /** Patterns for the device, and the same as rules for this side. */
  readonly exclude: readonly string[];
  readonly excludes: Excludes;
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly checksum: boolean;
}

/** What a run is made with. */
export interface SyncAttemptParts {
  readonly host: CliHost;
  readonly sync: Sync;
  readonly observer: TransferObserver;
  /** The device has accepted. */
  readonly onOpened: () => void;
}

/** Makes the target like the source once, in one session. @throws TowlineError what keeps it from being done. */
export async function attemptSync(parts: SyncAttemptParts): Promise<void> {
  await (parts.sync.direction === 'to device' ? put(parts) : get(parts));
}

async function put({ host, sync, observer, onOpened }: SyncAttemptParts): Promise<void> {
  const { source: path, target, exclude, excludes, delete: isDeleting, dryRun, checksum } = sync;
  const source = await openSyncSource(here(path)).catch((error: unknown) => failHere(path, error));
  const rules = { exclude: [...exclude], delete: isDeleting, dry_run: dryRun, checksum };
  const body: FilesBody = { operation: 'sync_write', path: target, ...rules };
  const { session } = await host.openSession(FILES_PROTOCOL, body).catch((error: unknown) => {
    source.folder.release();
    throw error;
  });
  onOpened();
  await converse(session, { host, place: `${sync.device}:${target}` }, async () => {
    await sendFiles({ input: session.input(0), output: session.output(0), source, count: true, excludes, observer });
    session.output(0).end();
  });
}

async function get({ host, sync, observer, onOpened }: SyncAttemptParts): Promise<void> {
  const { source, target, exclude, excludes, dryRun, checksum, delete: isDeleting } = sync;
  const body: FilesBody = { operation: 'sync_read', path: source, exclude: [...exclude] };
  const { session } = await host.openSession(FILES_PROTOCOL, body);
  onOpened();
  const rules = { excludes, delete: isDeleting, dryRun, checksum };
  try {
    await converse(session, { host, place: `${sync.device}:${source}` }, () =>
      receiveSync({ input: session.input(0), output: session.output(0), path: here(target), ...rules, observer }),
    );
  } catch (error) {
    // What is no error of ours is one of the target itself.
    throw isTowlineError(error) ? error : failHere(target, error);
  }
}
