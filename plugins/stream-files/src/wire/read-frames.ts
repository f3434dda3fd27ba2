import type { Readable } from 'node:stream';
import { TowlineError } from '@towline/protocol';
import { faultCode } from '../tree/file-fault.ts';
import { Frame, FrameDecoder, type FrameEvent } from './frames.ts';
import { decodeFrame, faultSchema } from './schemas.ts';

/** The peer can do nothing at all with what was asked. */
export class PeerFault extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.name = 'PeerFault';
    this.code = code;
  }
}

/**
 * Hands each frame of a stream to `take`, in order and no sooner than what it took before is done; where that is done at once, in the same turn.
 * `take` answers false when it wants no more. @throws PeerFault, TowlineError `protocol_error` or what broke the stream, and what `take` throws.
 */
export async function takeFrames(input: Readable, take: (frame: FrameEvent) => Promise<void> | false | undefined): Promise<void> {
  const decoder = new FrameDecoder();
  for await (const chunk of input) {
    for (const frame of decoder.push(chunk as Buffer)) {
      if (frame.type === Frame.fault) throw new PeerFault(decodeFrame(faultSchema, frame.payload).code);
      const taken = take(frame);
      if (taken === false) return;
      if (taken !== undefined) await taken;
    }
  }
  if (!decoder.isBetweenFrames) throw new TowlineError('protocol_error', 'The peer ended in the middle of a frame.');
}

/** The frames of a stream, at the pace of whoever takes them. @throws PeerFault, TowlineError `protocol_error` or what broke the stream. */
export async function* readFrames(input: Readable): AsyncGenerator<FrameEvent> {
  const decoder = new FrameDecoder();
  for await (const chunk of input) {
    for (const frame of decoder.push(chunk as Buffer)) {
      if (frame.type === Frame.fault) throw new PeerFault(decodeFrame(faultSchema, frame.payload).code);
      yield frame;
    }
  }
  if (!decoder.isBetweenFrames) throw new TowlineError('protocol_error', 'The peer ended in the middle of a frame.');
}

/** The code of a fault to tell the peer, when that is what was thrown. */
export function codeForPeer(thrown: unknown): string | null {
  try {
    return faultCode(thrown);
  } catch {
    return null;
  }
}
