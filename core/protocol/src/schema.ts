import { z } from 'zod';
import { TowlineError } from './errors/towline-error.ts';
import { decodeJson, encodeJson } from './json.ts';

/** A schema with the size limit of its encoded form. */
export interface MessageCodec<Message> {
  /** Encodes a message as JSON. @throws TowlineError `too_large` when it exceeds the limit. */
  encode(message: Message): Buffer;
  /** Decodes and checks a peer's message. @throws TowlineError `protocol_error`. */
  decode(bytes: Uint8Array): Message;
}

/** Makes the codec of a JSON message. `name` is used in errors. */
export function defineMessage<Schema extends z.ZodType>(name: string, schema: Schema, maxBytes: number): MessageCodec<z.infer<Schema>> {
  return {
    encode(message) {
      const bytes = encodeJson(message);
      if (bytes.length > maxBytes)
        throw new TowlineError('too_large', `The ${name} has ${bytes.length} bytes, where ${maxBytes} are allowed.`);
      return bytes;
    },
    decode(bytes) {
      const result = schema.safeParse(decodeJson(bytes, maxBytes));
      if (result.success) return result.data;
      throw new TowlineError('protocol_error', `The peer sent a ${name} that is not valid: ${describeIssues(result.error.issues)}.`);
    },
  };
}

/** The first faults of a schema check in one line, keys and expectations only, never values. */
export function describeIssues(issues: readonly { readonly path?: readonly unknown[]; readonly message: string }[]): string {
  return issues
    .slice(0, 5)
    .map((issue) => `${issue.path?.length ? `${issue.path.map(String).join('.')}: ` : ''}${issue.message}`)
    .join('; ');
}

/** 128-bit id as 32 hex digits. */
export const idSchema = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits');
/** Name and version of a stream protocol, as in `/shell/1`. */
export const protocolNameSchema = z.string().regex(/^\/[a-z0-9][a-z0-9-]{0,62}\/[0-9]{1,4}$/, 'expected /NAME/VERSION');
/** Free text of a peer: capped, to be escaped where it is printed. */
export const textSchema = (max: number) => z.string().max(max);
