/** An error of the binding, whose message is the name of quiche's error and its number, as `StreamReset(7)`. */
export interface NativeFault {
  readonly name: string;
  readonly code: number | null;
}

/** Reads the message of an error that the binding threw. */
export function nativeFault(error: unknown): NativeFault {
  const match = /^([A-Za-z]+)(?:\((\d+)\))?/.exec(error instanceof Error ? error.message : String(error));
  return { name: match?.[1] ?? 'Unknown', code: match?.[2] === undefined ? null : Number(match[2]) };
}
