import type { CliHost } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import { converse, failHere, here } from '../copy/attempt.ts';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import type { TransferObserver } from '../observer.ts';
import { sendFiles } from '../send/send-files.ts';
import type { Source } from '../send/source.ts';
import type { Coverage } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { rootOf } from '../tree/root-identity.ts';
import { receiveSync } from './receive-sync.ts';
import type { RootGuard } from './root-guard.ts';
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
  /** How much of the source; all of it where a device does not know how to do less. */
  readonly coverage: Coverage;
  /** Judges whether the roots are those of earlier runs; null: there were none. */
  readonly guard: RootGuard | null;
  readonly observer: TransferObserver;
  /** The device has accepted. */
  readonly onOpened: () => void;
}

/** Makes the target like the source once, in one session. @throws TowlineError what keeps it from being done. */
export async function attemptSync(parts: SyncAttemptParts): Promise<void> {
  await (parts.sync.direction === 'to device' ? put(parts) : get(parts));
}

async function put({ host, sync, coverage, guard, observer, onOpened }: SyncAttemptParts): Promise<void> {
  const { source: path, target, exclude, excludes, delete: isDeleting, dryRun, checksum } = sync;
  const source = await openSyncSource(here(path)).catch((error: unknown) => failHere(path, error));
  const rules = { exclude: [...exclude], delete: isDeleting, dry_run: dryRun, checksum };
  const body: FilesBody = { operation: 'sync_write', path: target, ...rules };
  const { session } = await open(host, { body, source, guard }).catch((error: unknown) => {
    source.folder.release();
    throw error;
  });
  onOpened();
  const onTargetRoot = (root: string) => guard?.requireTarget(root);
  await converse(session, { host, place: `${sync.device}:${target}` }, async () => {
    const parts = { source, count: true, excludes, coverage, onto: guard?.target, observer: { ...observer, onTargetRoot } };
    await sendFiles({ input: session.input(0), output: session.output(0), ...parts });
    session.output(0).end();
  });
}

async function open(host: CliHost, { body, source, guard }: { body: FilesBody; source: Source; guard: RootGuard | null }) {
  guard?.requireSource(rootOf(await source.folder.stat()));
  return host.openSession(FILES_PROTOCOL, body);
}

async function get({ host, sync, coverage, guard, observer, onOpened }: SyncAttemptParts): Promise<void> {
  const { source, target, exclude, excludes, dryRun, checksum, delete: isDeleting } = sync;
  const body: FilesBody = { operation: 'sync_read', path: source, exclude: [...exclude] };
  const { session } = await host.openSession(FILES_PROTOCOL, body);
  onOpened();
  const rules = { excludes, delete: isDeleting, dryRun, checksum };
  const requireRoots = (roots: { readonly source: string | null; readonly target: string }) => {
    if (roots.source !== null) guard?.requireSource(roots.source);
    guard?.requireTarget(roots.target);
  };
  try {
    await converse(session, { host, place: `${sync.device}:${source}` }, () => {
      const parts = { path: here(target), ...rules, coverage, requireRoots, mustExist: guard?.target !== undefined, observer };
      return receiveSync({ input: session.input(0), output: session.output(0), ...parts });
    });
  } catch (error) {
    session.cancel();
    // What is no error of ours is one of the target itself.
    throw isTowlineError(error) ? error : failHere(target, error);
  }
}
