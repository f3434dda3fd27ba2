import { Writable } from 'node:stream';
import { INPUT_AHEAD } from './input-credit.ts';

/** The client is told after so many bytes: often enough that it never waits for the telling. */
const TELL_EVERY = INPUT_AHEAD / 8;

/**
 * Holds the input a client has sent until the program takes it, and tells how much it has taken. Input for a
 * program that has closed its end counts as taken and is dropped, as a pipe would refuse it.
 */
export class ProgramInput extends Writable {
  readonly #program: Writable;
  readonly #tell: (taken: number) => void;
  #taken = 0;
  #told = 0;

  constructor(program: Writable, tell: (taken: number) => void) {
    // More than a client may send ahead, so that this never stops the session's stream.
    super({ highWaterMark: 2 * INPUT_AHEAD });
    this.#program = program;
    this.#tell = tell;
    // Each write is called back, with an error or without: that is enough to know.
    program.on('error', () => {});
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#program.write(chunk, () => {
      this.#taken += chunk.length;
      if (this.#taken - this.#told >= TELL_EVERY) {
        this.#told = this.#taken;
        this.#tell(this.#taken);
      }
      done();
    });
  }

  override _final(done: () => void): void {
    this.#program.end();
    done();
  }
}
