import type { CliHost } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { converse } from '../copy/attempt.ts';
import { FILES_PROTOCOL, type FilesBody } from '../messages.ts';
import { Coverage } from '../tree/coverage.ts';
import type { TreeChange } from '../watch/tree-changes.ts';
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
  readonly onChange: (change: TreeChange) => void;
}

/** Tells when and where a tree of the device should be read, as the device says. Ends by an error only. @throws TowlineError. */
export async function followDevice({ host, sync, onOpened, onChange }: DeviceChangesParts): Promise<never> {
  const body: FilesBody = { operation: 'sync_watch', path: sync.source, exclude: [...sync.exclude] };
  const { session } = await host.openSession(FILES_PROTOCOL, body);
  onOpened();
  try {
    await converse(session, { host, place: `${sync.device}:${sync.source}` }, async () => {
      for await (const { type, payload } of readFrames(session.input(0))) onChange(changeOf(type, payload));
      throw new TowlineError('session_broken');
    });
  } finally {
    session.cancel();
  }
  throw new TowlineError('session_broken');
}

/** A device that does not say where means everywhere. @throws TowlineError `protocol_error`. */
function changeOf(type: number, payload: Buffer): TreeChange {
  if (type !== Frame.changed) throw new TowlineError('protocol_error', `The peer sent a frame of type ${type} where it tells of changes.`);
  const { complete, only, look } = decodeFrame(changedSchema, payload);
  return { isComplete: complete, coverage: only === undefined ? Coverage.whole() : Coverage.of(only), isLook: look === true };
}
