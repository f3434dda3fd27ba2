import { z } from 'zod';
import { isErrorCode } from './errors/catalogue.ts';
import { fromPublicError, type PublicError, type TowlineError } from './errors/towline-error.ts';
import type { JsonObject } from './json.ts';
import { MAX_CONTROL_MESSAGE, MAX_OPEN_MESSAGE, MAX_STREAM_HEAD } from './limits.ts';
import { defineMessage, idSchema, protocolNameSchema, textSchema } from './schema.ts';
import { MAX_SECRET_NAME, MAX_SESSION_SECRETS } from './secret-names.ts';

const jsonObject = z.record(z.string().max(128), z.json()) as unknown as z.ZodType<JsonObject>;
const position = z.int().min(0);

/**
 * Head of a stream that a client opens: which protocol on which device, the handler's own message,
 * and the session the stream carries. `resume` is present when the client opens a further stream for a
 * session that it began earlier; `received` is then the position up to which it has the device's bytes.
 */
export const clientOpen = defineMessage(
  'open message',
  z.object({
    protocol: protocolNameSchema,
    device: z.string().min(1).max(255),
    session: idSchema,
    resume: z.object({ received: position }).optional(),
    body: jsonObject,
  }),
  MAX_OPEN_MESSAGE,
);
/** See {@link clientOpen}. */
export type ClientOpen = ReturnType<typeof clientOpen.decode>;

/**
 * Head of a stream that the relay opens towards a device. `open` is the text of a {@link deviceOpen}
 * message; the grant carries its SHA-256, so the device decodes only what was signed.
 */
export const relayOpen = defineMessage(
  'granted open message',
  z.object({ grant: z.string().max(4_096), open: z.string().max(MAX_OPEN_MESSAGE) }),
  MAX_STREAM_HEAD,
);
/** See {@link relayOpen}. */
export type RelayOpen = ReturnType<typeof relayOpen.decode>;

/** What the relay half of a stream plugin asks of the device, inside {@link relayOpen}. */
export const deviceOpen = defineMessage(
  'open message',
  z.object({
    protocol: protocolNameSchema,
    session: idSchema,
    resume: z.object({ received: position }).optional(),
    body: jsonObject,
    /**
     * Variables for the environment of the program, the values in base64url of UTF-8. Only for devices that have
     * {@link SECRETS_FEATURE}: others would not see them. Read by decodeSecrets(), which checks them.
     */
    secrets: z
      .array(z.object({ name: textSchema(MAX_SECRET_NAME), value: textSchema(MAX_OPEN_MESSAGE) }))
      .max(MAX_SESSION_SECRETS)
      .optional(),
  }),
  MAX_OPEN_MESSAGE,
);
/** See {@link deviceOpen}. */
export type DeviceOpen = ReturnType<typeof deviceOpen.decode>;

/**
 * First message on an opened stream, from the side that accepted it. After `accepted` the session's
 * frames follow; `received` is the position up to which the device has the client's bytes. After
 * `refused` nothing follows but the end of the stream.
 */
export const openAnswer = defineMessage(
  'answer to an open message',
  z.discriminatedUnion('status', [
    z.object({
      status: z.literal('accepted'),
      received: position,
      body: jsonObject,
      /** Added by the relay on the way to the client. */
      device: z.object({ id: idSchema, name: textSchema(255), fingerprint: textSchema(128) }).optional(),
    }),
    z.object({ status: z.literal('refused'), code: textSchema(64), message: textSchema(1_000), hint: textSchema(1_000) }),
  ]),
  MAX_CONTROL_MESSAGE,
);
/** See {@link openAnswer}. */
export type OpenAnswer = ReturnType<typeof openAnswer.decode>;
/** An answer that lets the session begin. */
export type Accepted = Extract<OpenAnswer, { status: 'accepted' }>;

/** The answer that carries an error to whoever asked for the stream. */
export function refuse(error: { toPublic(): PublicError }): OpenAnswer {
  return { status: 'refused', ...error.toPublic() };
}

/** The error a refusal carries. */
export function refusalError(answer: Extract<OpenAnswer, { status: 'refused' }>): TowlineError {
  return fromPublicError({ ...answer, code: isErrorCode(answer.code) ? answer.code : 'internal' });
}
