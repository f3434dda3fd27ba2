import { PassThrough } from 'node:stream';
import { sendFiles } from '../src/send/send-files.ts';
import { receiveSync } from '../src/sync/receive-sync.ts';
import { openSyncSource } from '../src/sync/sync-source.ts';
import type { Coverage } from '../src/tree/coverage.ts';
import { createExcludes } from '../src/tree/excludes.ts';

/** How two folders of this machine are synced. */
export interface SyncHere {
  readonly source: string;
  readonly target: string;
  readonly delete?: boolean;
  readonly dryRun?: boolean;
  readonly checksum?: boolean;
  readonly exclude?: readonly string[];
  /** Patterns of the sender, when it has others. */
  readonly sendersExclude?: readonly string[];
  /** How much of the source, as the sender knows it, and as the receiver asks for it. */
  readonly sendersCoverage?: Coverage;
  readonly coverage?: Coverage;
}

/** What a sync did, by paths as bytes. */
export interface Did {
  readonly sent: string[];
  readonly removed: string[];
  /** Path and code. */
  readonly failures: string[];
  /** Bytes of content that went over. */
  bytes: number;
}

/** Both ends of a sync in this process, with two pipes between. */
export async function syncHere({ source, target, exclude = [], sendersExclude = exclude, ...options }: SyncHere): Promise<Did> {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const did: Did = { sent: [], removed: [], failures: [], bytes: 0 };
  const opened = await openSyncSource(source);
  const sending = sendFiles({
    input: back,
    output: there,
    source: opened,
    count: false,
    excludes: createExcludes(sendersExclude),
    ...(options.sendersCoverage === undefined ? {} : { coverage: options.sendersCoverage }),
    observer: {},
  });
  const name = (path: Buffer) => path.toString('latin1');
  const receiving = receiveSync({
    input: there,
    output: back,
    path: target,
    excludes: createExcludes(exclude),
    delete: options.delete === true,
    dryRun: options.dryRun === true,
    checksum: options.checksum === true,
    ...(options.coverage === undefined ? {} : { coverage: options.coverage }),
    observer: {
      onBytes: (count, kind) => {
        did.bytes += kind === 'moved' ? count : 0;
      },
      onOutcome: ({ path, status, code }) => {
        if (status === 'done') did.sent.push(name(path));
        if (status === 'failed') did.failures.push(`${name(path)} ${code}`);
      },
      onOmitted: (path, code) => void did.failures.push(`${name(path)} ${code}`),
      onRemoved: ({ path, code }) => void (code === undefined ? did.removed.push(name(path)) : did.failures.push(`${name(path)} ${code}`)),
    },
  });
  await Promise.all([sending.then(() => there.end()), receiving]);
  return did;
}
