const TILDE = 0x7e;
const DOT = 0x2e;
const LINE_ENDS = Object.freeze([0x0a, 0x0d]);

/** What {@link EscapeSequence} makes of some input. */
export interface Escaped {
  /** What is to be sent. */
  readonly bytes: Buffer;
  /** Whether the user has asked for the end. */
  readonly left: boolean;
}

/**
 * Finds `~.` at the beginning of a line in what a user types: the way out of a session that answers no more, as in ssh.
 * A `~` there is held until the next key; `~~` sends one `~`.
 */
export class EscapeSequence {
  #state: 'in line' | 'line start' | 'tilde' = 'line start';

  /** Takes typed bytes. What follows the escape is dropped. */
  take(typed: Uint8Array): Escaped {
    const bytes: number[] = [];
    for (const byte of typed) {
      const held = this.#state === 'tilde';
      if (held && byte === DOT) return { bytes: Buffer.from(bytes), left: true };
      if (this.#state === 'line start' && byte === TILDE) {
        this.#state = 'tilde';
        continue;
      }
      if (held && byte !== TILDE) bytes.push(TILDE);
      bytes.push(byte);
      this.#state = LINE_ENDS.includes(byte) ? 'line start' : 'in line';
    }
    return { bytes: Buffer.from(bytes), left: false };
  }
}
