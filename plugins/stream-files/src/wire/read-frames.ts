import { finished, type Readable } from 'node:stream';
import { TowlineError } from '@towline/protocol/plain';
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

/** Undefined when something was taken, false when no more is wanted. */
type Taken = false | undefined;
/** Takes a frame; a promise when that takes time. */
export type TakeFrame = (frame: FrameEvent) => Promise<void> | Taken;

/**
 * Hands each frame of a stream to `take`, in order, and none before what it took last is done. Where that is done at once, nothing is waited for:
 * to wait for each chunk takes as long as what is done with it. @throws PeerFault, TowlineError `protocol_error` or what broke the stream, and
 * what `take` throws.
 */
export async function takeFrames(input: Readable, take: TakeFrame): Promise<void> {
  const decoder = new FrameDecoder();
  const isToEnd = await takeChunks(input, (chunk) => takeAll(decoder.push(chunk), take));
  if (isToEnd && !decoder.isBetweenFrames) throw new TowlineError('protocol_error', 'The peer ended in the middle of a frame.');
}

/** Hands each chunk to `take`; true when that went on to the end. The stream is destroyed when it did not. */
function takeChunks(input: Readable, take: (chunk: Buffer) => Promise<Taken> | Taken): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let taking: Promise<void> = Promise.resolve();
    const stop = (settle: () => void) => {
      settle();
      input.removeListener('data', onData).destroy();
    };
    const fail = (error: unknown) => stop(() => reject(error));
    const goOn = (taken: Taken) => (taken === false ? stop(() => resolve(false)) : void input.resume());
    const onData = (chunk: Buffer) => {
      try {
        const taken = take(chunk);
        if (taken === undefined) return;
        if (taken === false) return goOn(taken);
        input.pause();
        taking = taken.then(goOn).catch(fail);
      } catch (error) {
        fail(error);
      }
    };
    input.on('data', onData);
    // What is being taken when the stream ends is taken to its end.
    finished(input, { writable: false }, (error) => void taking.then(() => (error ? reject(error) : resolve(true))));
  });
}

/** Takes frames until one takes time, and the others after it. */
function takeAll(frames: Generator<FrameEvent>, take: TakeFrame): Promise<Taken> | Taken {
  for (let next = frames.next(); !next.done; next = frames.next()) {
    const frame = next.value;
    if (frame.type === Frame.fault) throw new PeerFault(decodeFrame(faultSchema, frame.payload).code);
    const taken = take(frame);
    if (taken === false) return false;
    if (taken !== undefined) return taken.then(() => takeAll(frames, take));
  }
  return undefined;
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
