import { createHash } from 'node:crypto';
import type { ByteStream, Link } from '@towline/contract';

/** How a stream ended for its reader: whole, by `end`, or broken, by the literal code of its error. */
export interface StreamOutcome {
  readonly bytes: number;
  readonly sha256: string;
  readonly end: 'clean' | string;
}

/** Reads a stream to its end, whichever that is. Never rejects. */
export function readToEnd(stream: ByteStream): Promise<StreamOutcome> {
  const hash = createHash('sha256');
  let bytes = 0;
  let clean = false;
  let code = 'closed without an end';
  return new Promise((resolve) => {
    const done = (end: string) => resolve({ bytes, sha256: hash.copy().digest('hex'), end });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    stream.on('end', () => {
      clean = true;
      done('clean');
    });
    stream.on('error', (error) => {
      code = codeOf(error);
    });
    stream.on('close', () => {
      if (!clean) done(code);
    });
  });
}

/** Resolves with the literal code of the error that ends a stream, or `closed` when it closes without one. */
export function failureOf(stream: ByteStream): Promise<string> {
  if (stream.errored) return Promise.resolve(codeOf(stream.errored));
  return new Promise((resolve) => {
    stream.on('error', (error) => resolve(codeOf(error)));
    stream.on('close', () => resolve('closed'));
  });
}

/** The next stream the peer opens; those after it are given to nobody. */
export function nextStream(link: Link): Promise<ByteStream> {
  return new Promise((resolve) => link.onStream(resolve));
}

/** The first bytes that arrive on a stream. */
export function firstBytes(stream: ByteStream): Promise<Buffer> {
  return new Promise((resolve) => stream.once('data', resolve));
}

/** Hash of a buffer, as {@link readToEnd} gives it. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes until the stream says stop, `drain` included, for ever or until it is over. Answers how much it took so far. */
export function pourInto(stream: ByteStream, chunk: Uint8Array): () => number {
  let taken = 0;
  const more = () => {
    while (!stream.destroyed && !stream.writableEnded) {
      taken += chunk.length;
      if (!stream.write(chunk)) return void stream.once('drain', more);
    }
  };
  more();
  return () => taken;
}

/** Resolves once everything sent before has gone to the peer and back a few times. */
export async function settle(link: Link): Promise<void> {
  for (let times = 0; times < 5; times += 1) await link.ping(AbortSignal.timeout(5_000));
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message;
}
