import { homedir } from 'node:os';
import type { CliHost } from '@towline/contract';
import { type ClientSession, isTowlineError, printable, TowlineError } from '@towline/protocol';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import type { TransferObserver } from '../observer.ts';
import { receiveFiles } from '../receive/receive-files.ts';
import { openTarget } from '../receive/target.ts';
import { sendFiles } from '../send/send-files.ts';
import { absolutePath, copyName, openSource } from '../send/source.ts';
import { faultCode, faultText } from '../tree/file-fault.ts';
import { PeerFault } from '../wire/read-frames.ts';
import { isProgressShown } from './progress.ts';

/** One source of a copy and where it goes. */
export interface Copy {
  readonly direction: 'to device' | 'from device';
  readonly device: string;
  readonly source: string;
  readonly target: string;
}

/** What an attempt is made with. */
export interface AttemptParts {
  readonly host: CliHost;
  readonly copy: Copy;
  /** Whether the target itself becomes the copy: an earlier attempt has found so. */
  readonly exact: boolean;
  readonly observer: TransferObserver;
  /** The device has accepted. */
  readonly onOpened: () => void;
}

/** Carries a copy out in one session. @throws TowlineError what keeps it from being done. */
export async function attemptCopy(parts: AttemptParts): Promise<void> {
  await (parts.copy.direction === 'to device' ? put(parts) : get(parts));
}

async function put({ host, copy, exact, observer, onOpened }: AttemptParts): Promise<void> {
  const path = here(copy.source);
  const source = await openSource(path, copyName(copy.source)).catch((error: unknown) => failHere(copy.source, error));
  const body: FilesBody = { operation: 'write', path: copy.target, exact };
  const { session } = await host.openSession(FILES_PROTOCOL, body).catch((error: unknown) => {
    source.folder.release();
    throw error;
  });
  onOpened();
  await converse(session, { host, place: `${copy.device}:${copy.target}` }, async () => {
    await sendFiles({ input: session.input(0), output: session.output(0), source, count: isProgressShown(host), observer });
    session.output(0).end();
  });
}

async function get({ host, copy, exact, observer, onOpened }: AttemptParts): Promise<void> {
  const opened = await openTarget(here(copy.target), exact).catch((error: unknown) => failHere(copy.target, error));
  // The name is the one that the user typed: a device must not choose which file here is written.
  const target = { ...opened, name: opened.name ?? copyName(copy.source) };
  const body: FilesBody = { operation: 'read', path: copy.source, count: isProgressShown(host) };
  const { session } = await host.openSession(FILES_PROTOCOL, body).catch((error: unknown) => {
    target.folder.release();
    throw error;
  });
  onOpened();
  await converse(session, { host, place: `${copy.device}:${copy.source}` }, () =>
    receiveFiles({ input: session.input(0), output: session.output(0), target, observer }),
  );
}

/** A path here made absolute. */
export function here(path: string): string {
  // The shell has put the home folder in where it was meant.
  return absolutePath(path.startsWith('~') ? `./${path}` : path, { home: homedir(), from: process.cwd() });
}

/** Runs a session to its end; an interruption ends it at once. What it did is judged by what the device says last. */
export async function converse(
  session: ClientSession,
  { host, place }: { readonly host: CliHost; readonly place: string },
  work: () => Promise<void>,
): Promise<void> {
  const interrupt = () => session.cancel();
  host.signal.addEventListener('abort', interrupt, { once: true });
  if (host.signal.aborted) interrupt();
  try {
    await work();
    await session.result;
  } catch (error) {
    if (error instanceof PeerFault) {
      await session.result.catch(() => {});
      throw fileError(place, error.code);
    }
    throw await causeOf(session, error);
  } finally {
    host.signal.removeEventListener('abort', interrupt);
  }
}

/** When the device's program ended by itself in the middle, its result says so; else what broke is what happened. */
async function causeOf(session: ClientSession, error: unknown): Promise<unknown> {
  if (!isTowlineError(error)) session.cancel();
  if (!isTowlineError(error) || error.code !== 'session_broken') return error;
  const result = await session.result.catch(() => null);
  if (result === null || result.reason === 'broken' || result.reason === 'runtime_stopped') return error;
  const how = result.exit_code === undefined ? (result.signal ?? result.reason) : `exit code ${result.exit_code}`;
  return new TowlineError('spawn_failed', `The program that works on files did not do its work on the device (${printable(how)}).`, {
    hint: 'Check in the log of the runtime whether the user of run_as may read the folder in which the runtime is installed.',
  });
}

/** @throws TowlineError for what cannot be done with a path here; what is no fault of a file goes on. */
export function failHere(path: string, error: unknown): never {
  throw fileError(path, faultCode(error));
}

/** The error that nothing can be done at all with a path. */
export function fileError(place: string, code: string): TowlineError {
  return new TowlineError(code === 'ENOENT' ? 'file_missing' : 'file_failed', `${printable(place)}: ${faultText(code)}`);
}
