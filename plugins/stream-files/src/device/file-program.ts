// The program that reads and writes files on the device, as the user that the device works as. Started by ../device.ts with the request as its one
// argument; the stream is its standard input and output, and what it did it tells on standard error, in lines of JSON.
// What an operation needs is loaded for it: the copy of one file takes less time than loading everything.
import { createWriteStream } from 'node:fs';
import { Socket } from 'node:net';
import type { FilesBody, SyncWriteBody } from '../messages.ts';
import type { TransferObserver } from '../observer.ts';
import { absolutePath, copyName, openSource, type Source } from '../send/source.ts';
import type { Excludes } from '../tree/excludes.ts';
import { joinPath } from '../tree/names.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame } from '../wire/frames.ts';
import { codeForPeer, PeerFault } from '../wire/read-frames.ts';
import type { FileReport } from './file-report.ts';
import { createFileTeller } from './tell-files.ts';
import { createYoungCollector } from './young-garbage.ts';

/** Bytes that a pipe holds. */
const PIPE_BYTES = 65_536;
const input = new Socket({ fd: 0, readable: true, writable: false });
// Node's own stdout writes to a pipe without ever giving way. A thread that waits in the write has the pipe filled each time before the reader
// wakes; from an event loop it is a page now and then, which costs the reader twice the time.
const output = createWriteStream('', { fd: 1, highWaterMark: PIPE_BYTES });
const teller = createFileTeller(process.stderr);
const onBytes = createYoungCollector();
let failures = 0;

const writer = new FrameWriter(output);
process.exitCode = await serve();
teller.finish();
await writer.end();
process.exit();

async function serve(): Promise<number> {
  try {
    // The runtime has checked it.
    const body = JSON.parse(process.argv[2] ?? '') as FilesBody;
    await carryOut(body, absolutePath(body.path, { home: process.env.HOME || '/', from: process.env.HOME || '/' }));
    return failures > 0 ? 1 : 0;
  } catch (error) {
    const code = codeForPeer(error);
    if (code !== null) writer.sendJson(Frame.fault, { code });
    else if (!(error instanceof PeerFault)) process.stderr.write(`${JSON.stringify({ error: String((error as Error).message) })}\n`);
    return 1;
  }
}

async function carryOut(body: FilesBody, path: string): Promise<void> {
  if (body.operation === 'list') return (await import('../list/send-list.ts')).sendList(path, output);
  if (body.operation === 'read') return send(path, { source: await openSource(path, copyName(body.path)), count: body.count });
  if (body.operation === 'write') return receive(path, body.exact);
  const excludes = (await import('../tree/excludes.ts')).createExcludes(body.exclude);
  if (body.operation === 'sync_write') return makeLike(path, body, excludes);
  if (body.operation === 'sync_watch') return (await import('../watch/send-changes.ts')).sendChanges({ input, output, path, excludes });
  const { openSyncSource } = await import('../sync/sync-source.ts');
  return send(path, { source: await openSyncSource(path), count: true, excludes });
}

async function send(path: string, what: { readonly source: Source; readonly count: boolean; readonly excludes?: Excludes }): Promise<void> {
  const { sendFiles } = await import('../send/send-files.ts');
  await sendFiles({ input, output, ...what, observer: { onBytes }, onSent: sentIn(path) });
}

async function receive(path: string, exact: boolean): Promise<void> {
  const [{ openTarget }, { receiveFiles }] = await Promise.all([import('../receive/target.ts'), import('../receive/receive-files.ts')]);
  const target = await openTarget(path, exact);
  let root: Buffer = Buffer.from(target.path);
  const observer: TransferObserver = {
    onBytes,
    onRoot: (name) => {
      root = joinPath(root, name);
    },
    onOutcome: ({ path: below, kind, size, status, code }) => {
      if (status === 'failed' || (status === 'done' && kind !== 'folder'))
        report(root, below, { bytes: size, ok: status === 'done', ...(code === undefined ? {} : { code }) });
    },
  };
  await receiveFiles({ input, output, target, observer });
}

/** Makes a tree like the client's. What was only looked at in a dry run is not told. */
async function makeLike(path: string, body: SyncWriteBody, excludes: Excludes): Promise<void> {
  const { receiveSync } = await import('../sync/receive-sync.ts');
  const root = Buffer.from(path);
  const { dry_run: dryRun, delete: isDeleting, checksum } = body;
  const observer: TransferObserver = {
    onBytes,
    onOutcome: ({ path: below, kind, size, status, code, change }) => {
      const isNoted = !dryRun && status === 'done' && kind !== 'folder';
      const bytes = change === 'attributes' ? 0 : size;
      if (status === 'failed' || isNoted) report(root, below, { bytes, ok: status === 'done', ...(code === undefined ? {} : { code }) });
    },
    onRemoved: ({ path: below, code }) => {
      if (dryRun && code === undefined) return;
      report(root, below, { bytes: 0, ok: code === undefined, removed: true, ...(code === undefined ? {} : { code }) });
    },
  };
  await receiveSync({ input, output, path, excludes, delete: isDeleting, dryRun, checksum, observer });
}

function sentIn(path: string): (below: Buffer, moved: number | null) => void {
  const root = Buffer.from(path);
  return (below, moved) => report(root, below, { bytes: moved ?? 0, ok: moved !== null });
}

function report(path: Buffer, below: Buffer, about: Omit<FileReport, 'path'>): void {
  if (!about.ok) failures += 1;
  teller.tell({ path: joinPath(path, below).toString('latin1'), ...about });
}
