import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Program } from './process.ts';

const PIECE_BYTES = 1_048_576;

/** Bytes in a file, and what they hash to. */
export interface Payload {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Writes a file of random bytes. */
export function writePayload(path: string, mebibytes: number): Payload {
  const hash = createHash('sha256');
  writeFileSync(path, '');
  for (let left = mebibytes; left > 0; left -= 1) {
    const piece = randomBytes(PIECE_BYTES);
    hash.update(piece);
    writeFileSync(path, piece, { flag: 'a' });
  }
  return { path, bytes: mebibytes * PIECE_BYTES, sha256: hash.digest('hex') };
}

/** What is done in the middle of a transfer, when a part of it is through, from 0 to 1. */
export interface Interruption {
  readonly at: number;
  readonly act: () => void;
}

/** Reads all that a program, started with `ownStdout`, writes on stdout. Resolves with its hash. */
export async function receivePayload(program: Program, { bytes }: Payload, interruptions: readonly Interruption[]): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(program.child.stdout!, interrupt(bytes, interruptions), hash);
  return hash.digest('hex');
}

/** Writes a payload to the stdin of a program, no faster than it takes it, and ends that. */
export function sendPayload(program: Program, { path, bytes }: Payload, interruptions: readonly Interruption[]): Promise<void> {
  return pipeline(createReadStream(path), interrupt(bytes, interruptions), program.child.stdin!);
}

function interrupt(total: number, interruptions: readonly Interruption[]): Transform {
  const waiting = [...interruptions];
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      while (waiting[0] !== undefined && bytes >= waiting[0].at * total) waiting.shift()!.act();
      done(null, chunk);
    },
  });
}
