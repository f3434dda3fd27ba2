/**
 * Bytes of input that a client may send ahead of what the program has taken. Without this limit a program that does not
 * read would stop the whole session: what waits in one channel holds up signals, sizes and acknowledgements too.
 * 100 Mbit/s at 80 ms; the device holds so much for a session at most.
 */
export const INPUT_AHEAD = 1_048_576;

/** The device's message: how many bytes of input the program has taken in all. */
export interface InputTaken {
  readonly input_taken: number;
}

/** Reads the number out of a message; null when it is another message. */
export function readInputTaken(message: Readonly<Record<string, unknown>>): number | null {
  const taken = message.input_taken;
  return typeof taken === 'number' && Number.isSafeInteger(taken) && taken >= 0 ? taken : null;
}
