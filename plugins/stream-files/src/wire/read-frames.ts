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
