import type { CliHost } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { converse } from '../copy/attempt.ts';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import { Frame } from '../wire/frames.ts';
import { readFrames } from '../wire/read-frames.ts';
import { changedSchema, decodeFrame } from '../wire/schemas.ts';
import type { Sync } from './attempt-sync.ts';

/** What is listened with. */
export interface DeviceChangesParts {
  readonly host: CliHost;
  readonly sync: Sync;
  /** The device has accepted. */
  readonly onOpened: () => void;
}

/**
 * Tells when a tree of the device should be read, as the device says; what it says while the taker is busy counts as once. Ends by an error
 * only. @throws TowlineError.
 */
export async function* deviceChanges({ host, sync, onOpened }: DeviceChangesParts): AsyncGenerator<{ readonly isComplete: boolean }> {
  const body: FilesBody = { operation: 'sync_watch', path: sync.source, exclude: [...sync.exclude] };
  const { session } = await host.openSession(FILES_PROTOCOL, body);
  onOpened();
  const latest = createLatest();
  const listening = converse(session, { host, place: `${sync.device}:${sync.source}` }, async () => {
    for await (const { type, payload } of readFrames(session.input(0))) {
      if (type !== Frame.changed)
        throw new TowlineError('protocol_error', `The peer sent a frame of type ${type} where it tells of changes.`);
      latest.put({ isComplete: decodeFrame(changedSchema, payload).complete });
    }
    throw new TowlineError('session_broken');
  });
  listening.catch(latest.fail);
  try {
    for (;;) yield await latest.take();
  } finally {
    session.cancel();
  }
}

type Change = { readonly isComplete: boolean };

/** Holds the last value that was put and not taken. */
function createLatest() {
  let value: Change | null = null;
  let failure: { readonly error: unknown } | null = null;
  let wake = () => {};
  return {
    put(next: Change) {
      value = next;
      wake();
    },
    fail(error: unknown) {
      failure = { error };
      wake();
    },
    async take(): Promise<Change> {
      while (value === null && failure === null) await new Promise<void>((resolve) => (wake = resolve));
      if (failure !== null) throw failure.error;
      const taken = value!;
      value = null;
      return taken;
    },
  };
}
