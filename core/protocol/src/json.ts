import { TowlineError } from './errors/towline-error.ts';
import { MAX_JSON_DEPTH } from './limits.ts';

/** A JSON value. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses JSON that a peer sent.
 * @throws TowlineError `protocol_error` when it is longer than `maxBytes`, not UTF-8, not JSON or nested too deeply.
 */
export function decodeJson(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) throw malformed(`a message of ${bytes.length} bytes, where ${maxBytes} are allowed`);
  const text = decodeUtf8(bytes);
  if (depthOf(text) > MAX_JSON_DEPTH) throw malformed(`a message nested deeper than ${MAX_JSON_DEPTH} levels`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw malformed('a message that is not JSON', cause);
  }
}

/** Encodes a JSON value as UTF-8. */
export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw malformed('a message that is not UTF-8', cause);
  }
}

/** Deepest nesting of brackets outside of strings. Counts before parsing, so that a bomb is never built. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 0x5c) at += 1;
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, (depth += 1));
    else if (char === 0x7d || char === 0x5d) depth -= 1;
  }
  return deepest;
}

function malformed(what: string, cause?: unknown): TowlineError {
  return new TowlineError('protocol_error', `The peer sent ${what}.`, { cause });
}
